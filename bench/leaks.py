"""Leaks and near-duplicate rows of tables: planted ones found, and what sound tables get flagged.

Made tables have one leak each, of eleven kinds, or none; in the census table the copies within and
across its files are known. Near duplicates are copies of rows with a new key and one or two cells
of other rows. Run it as `python -m bench.leaks --json`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from bench.real_data import find_shared_data
from bench.record import Figure, record, show
from checks.core.check import load_checks
from checks.core.run import SetOutcome, run_set_checks
from checks.metrics.column_table import tabulate_columns
from checks.metrics.tabular import profile_table
from checks.sources.identity import digest_rows, identify
from checks.sources.source import open_source
from flows.report.figures import wilson

Tables = dict[str, pl.LazyFrame]
Rng = np.random.Generator
CHECKS = load_checks()
NEAR, DAY_US = "near_duplicate_row", 86_400_000_000
ROWS, SEEDS, COPIES, LARGE = 3000, 5, 300, 1_000_000
NOISE, MOVED, KEY_MIN = 0.02, 0.4, 0.98
CENSUS = {"exact_duplicate": 29, "cross_split_leak": 28, "conflicting_labels": 10,
          "label_spelling": 2}  # fmt: skip


def load_tables(path: Path, label: str | None = None) -> Tables:
    """Return what set checks get of the table at `path`; a file's name tells its split."""
    source = open_source(path, kind="table", label=label)
    assert source.modality == "table"
    content = digest_rows(source.scan(), source.content_columns)
    samples = identify(source.entries().join(content, on=["uri", "row"]), 0, 0.0, 0.0)
    rows = source.scan().join(samples.lazy().select("uri", "row", "sample_id"), on=["uri", "row"])
    profile = profile_table(source.scan(), label=label)
    columns = tabulate_columns(profile, source.content_columns)
    return {"samples": samples.lazy(), "columns": columns.lazy(),
            "rows": rows.select("sample_id", *source.content_columns)}  # fmt: skip


def judge(tables: Tables, *ids: str) -> SetOutcome:
    """Return what some checks say."""
    return run_set_checks(tables, [CHECKS[name] for name in ids])


def judge_frame(frame: pl.DataFrame, *ids: str) -> SetOutcome:
    """Return what some checks say of a frame with a split and a label, read from files."""
    with tempfile.TemporaryDirectory() as folder:
        for (split,), part in frame.group_by("split", maintain_order=True):
            part.drop("split").write_csv(Path(folder) / f"{split}.csv")
        return judge(load_tables(Path(folder), "label"), *ids)


def make_table(rng: Rng) -> pl.DataFrame:
    """Honest columns, two of which help to tell the label, and a split by the day sold."""
    label = rng.choice(3, ROWS, p=[0.5, 0.3, 0.2])
    days = pl.Series(np.sort(rng.integers(0, 1000, ROWS))).cast(pl.Int64)
    return pl.DataFrame(
        {
            "age": rng.normal(40 + 6 * label, 10).round(1),
            "town": [f"t{at}" for at in (label + rng.integers(0, 4, ROWS)) % 5],
            "income": rng.lognormal(10, 0.6, ROWS).round(0),
            "sold": (days * DAY_US).cast(pl.Datetime("us")).dt.date(),
            "label": [f"class {at}" for at in label],
            "split": np.where(np.arange(ROWS) < ROWS * 4 // 5, "train", "test"),
        }
    )


def _number(frame: pl.DataFrame, rng: Rng) -> pl.DataFrame:
    spoilt = pl.Series(np.where(rng.random(ROWS) < NOISE, rng.integers(0, 3, ROWS), -1))
    number = frame["label"].str.slice(6).cast(pl.Int64)
    return frame.with_columns(after=number.zip_with(spoilt < 0, spoilt))


def _copy(frame: pl.DataFrame, split: str, label: pl.Expr) -> pl.DataFrame:
    copies = frame.filter(pl.col("split") == split).sample(30, seed=0)
    return pl.concat([frame, copies.with_columns(split=pl.lit("train"), label=label)])


LEAKS: dict[str, tuple[str, Callable[[pl.DataFrame, Rng], pl.DataFrame]]] = {
    "label_as_number": ("column_label_leak", _number),
    "label_as_range": ("column_label_leak", lambda f, r: _number(f, r).with_columns(
        after=pl.col("after") * 100 + pl.Series(r.normal(size=ROWS)))),
    "label_as_gap": ("column_label_leak", lambda f, _: f.with_columns(
        after=pl.when(pl.col("label") != "class 0").then(pl.col("label")))),
    "row_number": ("identifier_feature", lambda f, _: f.with_row_index("after")),
    "text_key": ("identifier_feature", lambda f, r: f.with_columns(
        after=pl.format("id-{}", pl.Series(r.permutation(ROWS))))),
    "rising_number": ("identifier_feature", lambda f, r: f.with_columns(
        after=pl.Series(np.cumsum(r.integers(1, 99, ROWS))))),
    "overlap_in_time": ("future_in_train", lambda f, r: f.with_columns(
        split=pl.when(pl.Series(r.random(ROWS) < MOVED)).then(pl.lit("train")).otherwise("split"))),
    "time_backwards": ("future_in_train", lambda f, _: f.with_columns(
        split=pl.when(pl.int_range(pl.len()) < ROWS // 5).then(pl.lit("test"))
        .otherwise(pl.lit("train")))),
    "another_spelling": ("label_spelling", lambda f, _: f.with_columns(
        label=pl.when(pl.col("split") == "test").then(pl.format("{}.", "label"))
        .otherwise("label"))),
    "copies_of_test": ("cross_split_leak", lambda f, _: _copy(f, "test", pl.col("label"))),
    "other_label": ("conflicting_labels", lambda f, _: _copy(f, "train", pl.lit("class 9"))),
}  # fmt: skip


def score_leaks() -> dict[str, Figure]:
    """How many planted leaks are found, and what is found where there is none."""
    ids = sorted({check for check, _ in LEAKS.values()})
    found = false = 0
    for seed in range(SEEDS):
        table = make_table(np.random.default_rng([1, seed]))
        false += judge_frame(table, *ids).findings.height
        for check, leak in LEAKS.values():
            spoilt = leak(table, np.random.default_rng([2, seed]))
            found += not judge_frame(spoilt, check).findings.is_empty()
    tried = SEEDS * len(LEAKS)
    share, low, high = wilson(found, tried)
    return {
        "planted_leaks_found": Figure(share or 0.0, 1.0, "higher", tried, _span(low, high)),
        "findings_on_sound_tables": Figure(false, 0.0, "lower", SEEDS),
    }


def make_records(rng: Rng) -> pl.DataFrame:
    """Eight columns, common values and rare ones, that have nothing to do with each other."""
    count = 10 * ROWS
    return pl.DataFrame(
        {
            "name": [f"name {at}" for at in rng.integers(0, 5000, count)],
            "town": [f"town {at}" for at in rng.zipf(1.6, count) % 100],
            "age": rng.integers(18, 90, count), "height": rng.normal(170, 9, count).round(1),
            "income": rng.lognormal(10, 0.6, count).round(0), "score": rng.random(count).round(3),
            "grade": rng.choice([*"ABCD"], count), "key": rng.permutation(count),
        }
    ).cast(pl.String)  # fmt: skip


def score_census(tables: Tables) -> dict[str, Figure]:
    """The known leaks of the census table: findings beside what is there, and columns named."""
    found = judge(tables, *CENSUS, "column_label_leak", "identifier_feature").findings
    counts = dict(found.group_by("check_id").len().iter_rows())
    named = sum(counts.get(name, 0) for name in ("column_label_leak", "identifier_feature"))
    figures = {
        f"census_{name}": Figure(counts.get(name, 0), known, "higher", known)
        for name, known in CENSUS.items()
    }
    return figures | {"census_columns_named": Figure(named, 0.0, "lower", 14)}


def plant_copies(frame: pl.DataFrame, count: int) -> tuple[pl.DataFrame, dict[int, int]]:
    """Return `frame` with copies behind it, and which row each one is a copy of."""
    rng = np.random.default_rng(3)
    taken = rng.choice(frame.height, count, replace=False)
    cells = frame[taken.tolist()].to_dicts()
    names = [name for name in frame.columns if frame[name].n_unique() < KEY_MIN * frame.height]
    for at, row in enumerate(cells):
        for name in frame.columns:
            if name not in names:  # a key: no two records share it
                row[name] = f"{9_000_000 + at}"
        for name in rng.choice(names, rng.integers(1, 3), replace=False):
            row[str(name)] = frame[str(name)][int(rng.integers(frame.height))]
    whole = pl.concat([frame, pl.DataFrame(cells, schema=frame.schema)])
    return whole, {frame.height + at: int(row) for at, row in enumerate(taken)}


def score_copies(name: str, frame: pl.DataFrame, count: int, least: float) -> dict[str, Figure]:
    """Recall of planted copies, and precision among rows that were not flagged before."""
    whole, truth = plant_copies(frame, count)
    before, after = (_flag_rows(one) for one in (frame, whole))
    new = {row: other for row, other in after.items() if row not in before}
    right = sum(truth.get(row) == other for row, other in new.items())
    recall, low, high = wilson(right, count)
    precision, under, over = wilson(right, len(new))
    return {
        f"{name}_copies_recall": Figure(recall or 0.0, None, "higher", count, _span(low, high)),
        f"{name}_copies_precision": Figure(
            precision or 0.0, least, "higher", len(new), _span(under, over)
        ),
        f"{name}_flagged_as_it_came_per_10k": Figure(
            1e4 * len(before) / frame.height, None, "lower", frame.height
        ),
    }


def _flag_rows(frame: pl.DataFrame) -> dict[int, int]:
    with tempfile.TemporaryDirectory() as folder:
        frame.write_csv(Path(folder) / "train.csv")
        tables = load_tables(Path(folder))
        found = judge(tables, NEAR).findings.select("sample_id", "suggestion")
    rows = tables["samples"].select("sample_id", "row").collect()
    both = found.join(rows, on="sample_id").join(
        rows, left_on="suggestion", right_on="sample_id", suffix="_other"
    )
    return dict(both.select("row", "row_other").iter_rows())


def time_large() -> float:
    """CPU seconds of the check of near-duplicate rows on a million rows of 20 columns."""
    rng = np.random.default_rng(0)
    columns = {f"n{at}": rng.integers(0, 10 ** (at % 5 + 1), LARGE) for at in range(12)}
    columns |= {f"x{at}": rng.normal(size=LARGE).round(3) for at in range(8)}
    ids = [f"{a:016x}{b:016x}-0" for a, b in rng.integers(0, 2**63, (LARGE, 2)).tolist()]
    frame = pl.DataFrame(columns)
    samples = pl.DataFrame({"sample_id": ids, "row": np.arange(LARGE)}).with_columns(
        split=pl.lit("train"), label=pl.lit("x"), uri=pl.lit("t")
    )
    profile = profile_table(frame.head(10_000).lazy(), label=None)
    tables = {"samples": samples.lazy(), "columns": tabulate_columns(profile).lazy(),
              "rows": frame.with_columns(samples["sample_id"]).lazy()}  # fmt: skip
    start = time.process_time()
    judge(tables, NEAR)
    return time.process_time() - start


def _span(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)


def measure() -> dict[str, Figure]:
    """All figures of this file."""
    folder = find_shared_data() / "tables"
    census, beers = (
        pl.read_csv(folder / name, infer_schema=False)
        for name in ("adult/train.csv", "beers/clean.csv")
    )
    made = make_records(np.random.default_rng(7))
    return {
        **score_leaks(),
        **score_census(load_tables(folder / "adult", "income")),
        **score_copies("made", made, COPIES, 0.9),
        **score_copies("census", census, COPIES, 0.9),
        **score_copies("beers", beers, COPIES // 6, 0.9),
        "near_duplicates_cpu_s_per_million_rows": Figure(time_large(), None, "lower", 1, unit="s"),
    }


if __name__ == "__main__":
    show(record("leaks", measure()))
