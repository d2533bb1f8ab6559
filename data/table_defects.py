"""Plants defects in the flights and writes them as the monthly CSV files of a real delivery.

Only train rows are made dirty, each by one defect at most, so the truth is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from data.flights import load_flights

KM_PER_MILE = 1.609344
# kind of defect: share of train rows, the column it sits in (null: the whole row), the check meant
PLAN: dict[str, tuple[float, str | None, str]] = {
    "unit_mixup": (0.010, "distance", "mixed_unit"),
    "typo": (0.005, "airline", "rare_typo"),
    "placeholder_text": (0.005, "manufacturer", "placeholder_value"),
    "placeholder_number": (0.005, "temp", "placeholder_value,impossible_value"),
    "swapped_fields": (0.005, None, "swapped_fields"),
    "impossible_value": (0.005, "hour", "impossible_value"),
    "untrimmed": (0.003, "engine", "untrimmed_text"),
    "exact_duplicate": (0.010, None, "exact_duplicate"),
    "conflicting_copy": (0.002, None, "conflicting_labels"),
    "wrong_label": (0.050, None, "unlikely_label"),
}
COPIES = ("exact_duplicate", "conflicting_copy")
LABEL = "arrival"


def make_table_defects(out: Path, seed: int, rows: int | None = None) -> pl.DataFrame:
    """Write `out`/flights_<month>.csv and return the truth, one row for each planted defect.

    Args:
        out: the folder to write to.
        seed: of every draw.
        rows: take a random sample of so many flights, in their order; None takes all 336,776.

    Columns of the truth: those of `make_image_defects` and related_row. Every
    unplanted row of train is listed too, with an empty defect, so that the oracle knows its label.
    """
    rng = np.random.default_rng(seed)
    flights = load_flights().with_row_index("source_row")
    if rows is not None:
        flights = flights.sample(rows, seed=seed).sort("source_row")
    text = flights.with_columns(pl.all().exclude("source_row").cast(pl.String))
    dirty = _plant(text.with_columns(defect=pl.lit(""), true_label=pl.col(LABEL)), rng)
    truth = []
    out.mkdir(parents=True, exist_ok=True)
    for (month,), part in dirty.group_by("month", maintain_order=True):
        uri = f"flights_{int(str(month)):02d}.csv"
        part.drop("source_row", "defect", "true_label").write_csv(out / uri)
        truth.append(_truth(part, uri))
    return pl.concat(truth).sort("uri", "row")


def _truth(part: pl.DataFrame, uri: str) -> pl.DataFrame:
    columns = {kind: column for kind, (_, column, _) in PLAN.items()}
    checks = {kind: check for kind, (_, _, check) in PLAN.items()}
    kind = pl.col("defect")
    return part.with_row_index("row").select(
        pl.lit(uri).alias("uri"),
        pl.col("row").cast(pl.Int64),
        kind.replace_strict(columns, default=None, return_dtype=pl.String).alias("column"),
        kind,
        kind.replace_strict(checks, default=None, return_dtype=pl.String).alias("check_id"),
        "true_label",
        # a copy lies in the row behind its original
        pl.when(kind.is_in(COPIES)).then(pl.lit(uri)).alias("related_uri"),
        pl.when(kind.is_in(COPIES)).then(pl.col("row").cast(pl.Int64) - 1).alias("related_row"),
    )


def _plant(table: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    train = table.with_row_index("at").filter(
        pl.col("split") == "train", pl.col(LABEL).is_not_null()
    )
    places = rng.permutation(train["at"].to_numpy())
    kind = np.full(table.height, "", dtype=object)
    start = 0
    for name, (share, _, _) in PLAN.items():
        count = int(share * train.height)
        kind[places[start : start + count]] = name
        start += count
    marked = table.with_columns(defect=pl.Series(kind.tolist(), dtype=pl.String))
    copied = marked.filter(pl.col("defect").is_in(COPIES))
    spoiled = marked.with_columns(
        pl.when(pl.col("defect").is_in(COPIES))
        .then(pl.lit(""))
        .otherwise(pl.col("defect"))
        .alias("defect")
    )
    for name, change in CHANGES.items():
        spoiled = spoiled.with_columns(
            pl.when(pl.col("defect") == name).then(expr).otherwise(pl.col(column)).alias(column)
            for column, expr in change(rng).items()
        )
    # a change of a missing cell leaves it missing: nothing was planted there
    gone = pl.any_horizontal(
        (pl.col("defect") == kind_) & pl.col(column).is_null()
        for kind_, (_, column, _) in PLAN.items()
        if column
    )
    spoiled = spoiled.with_columns(
        pl.when(gone).then(pl.lit("")).otherwise(pl.col("defect")).alias("defect")
    )
    copies = copied.with_columns(
        pl.when(pl.col("defect") == "conflicting_copy")
        .then(_other_label())
        .otherwise(pl.col(LABEL))
        .alias(LABEL)
    )
    return pl.concat([spoiled, copies]).sort("source_row", maintain_order=True)


def _other_label() -> pl.Expr:
    return pl.when(pl.col(LABEL) == "late").then(pl.lit("on_time")).otherwise(pl.lit("late"))


def _typo(rng: np.random.Generator) -> pl.Expr:
    """Swap two neighbouring letters of the name, at a place drawn once."""
    at = int(rng.integers(2, 5))
    name = pl.col("airline")
    return pl.concat_str(
        name.str.slice(0, at), name.str.slice(at + 1, 1), name.str.slice(at, 1),
        name.str.slice(at + 2),
    )  # fmt: skip


def _kilometres() -> pl.Expr:
    return (
        (pl.col("distance").cast(pl.Float64) * KM_PER_MILE).round(0).cast(pl.Int64).cast(pl.String)
    )


Change = Callable[[np.random.Generator], dict[str, pl.Expr]]
CHANGES: dict[str, Change] = {
    "unit_mixup": lambda _: {"distance": _kilometres()},
    "typo": lambda rng: {"airline": _typo(rng)},
    "placeholder_text": lambda _: {"manufacturer": pl.lit("N/A")},
    "placeholder_number": lambda _: {"temp": pl.lit("-999")},
    "swapped_fields": lambda _: {"origin": pl.col("dest"), "dest": pl.col("origin")},
    "impossible_value": lambda _: {"hour": pl.lit("27")},
    "untrimmed": lambda _: {"engine": pl.concat_str(pl.lit(" "), pl.col("engine"), pl.lit("  "))},
    "wrong_label": lambda _: {LABEL: _other_label()},
}
