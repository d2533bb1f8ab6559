"""What people said of labels, kept beside the configuration and turned into decisions.

The store is the file of `[policy] overrides`, or reviews.parquet: there is one way for a person to
be heard. It holds what each one said (tables.Opinions), by content-derived sample_id, so that it
stays true for later runs; what was said of a label that has changed since is not heard.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from checks.core.errors import SourceError
from checks.core.reviewed import measure_reviews, settle_opinions
from checks.core.tables import Opinions, guard
from checks.sources.own_files import REVIEWS_FILE
from flows.app.config import Config
from flows.app.store import file_digest, writing

STORE = REVIEWS_FILE
SHOWN_MAX = 50
COLUMNS = tuple(Opinions.to_schema().columns)


def name_overrides(config: Config) -> str | None:
    """Return the file of people's decisions or verdicts as the configuration means it, or None."""
    if config.policy.overrides is not None:
        return config.policy.overrides
    return STORE if config.locate(STORE).is_file() else None


def is_store(frame: pl.DataFrame) -> bool:
    """Say whether a file of [policy] overrides holds verdicts rather than decisions."""
    return "verdict" in frame.columns


def read_overrides(path: Path) -> pl.DataFrame:
    """Return people's decisions: sample_id, action, decided_by and new_label where given.

    Or their verdicts (tables.Opinions), where the file is a store of those.

    Raises:
        SourceError: the file is missing or neither Parquet nor CSV.
    """
    try:
        reader = pl.read_csv if path.suffix == ".csv" else pl.read_parquet
        frame = reader(path)
    except (OSError, pl.exceptions.PolarsError) as broken:
        raise SourceError(str(path), "cannot be read as decisions", got=str(broken)) from broken
    if "decided_by" not in frame.columns and not is_store(frame):
        frame = frame.with_columns(decided_by=pl.lit("person"))
    return frame


def read_reviews(config: Config, samples: pl.DataFrame) -> pl.DataFrame | None:
    """Return what people came to think of the labels as they are now (tables.Reviews), or None.

    None where [policy] names no store of verdicts, and there is none in its usual place.

    Raises:
        SourceError: the file that [policy] names cannot be read.
    """
    store = _load_store(config)
    return None if store is None else settle_opinions(hear(store, samples)[0])


def mark_reviews(config: Config) -> str | None:
    """Return the digest of the store of verdicts, None where there is none."""
    store = _load_store(config)
    return None if store is None else file_digest(config.locate(name_overrides(config) or STORE))


def _load_store(config: Config) -> pl.DataFrame | None:
    name = name_overrides(config)
    if name is None or not config.locate(name).is_file():  # which is said when it is to decide
        return None
    frame = read_overrides(config.locate(name))
    return guard(Opinions, frame, name) if is_store(frame) else None


def read_store(path: Path) -> pl.DataFrame:
    """Return what people said so far (tables.Opinions), nothing where there is no file.

    Raises:
        SourceError: the file holds something else.
    """
    if not path.is_file():
        schema = {n: c.dtype.type for n, c in Opinions.to_schema().columns.items()}
        return pl.DataFrame(schema=schema)
    advice = "Name another file in [policy] overrides, or none, for verdicts."
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as broken:
        raise SourceError(str(path), "holds no verdicts", got=str(broken),
                          advice=advice) from broken  # fmt: skip
    if not is_store(frame):
        raise SourceError(str(path), "holds no verdicts", got=frame.columns, advice=advice)
    return guard(Opinions, frame, str(path))


def merge_opinions(held: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Return both; a person's later word takes the place of the earlier one.

    What says the same as before keeps its time, so that taking a file in twice changes nothing.
    """
    key, said = ["sample_id", "reviewer"], ["label", "verdict", "new_label", "comment"]
    again = new.join(held, on=[*key, *said], how="semi", nulls_equal=True)
    fresh = new.join(again, on=key, how="anti")
    return pl.concat([held.join(fresh, on=key, how="anti"), fresh]).sort(key)


def write_store(path: Path, opinions: pl.DataFrame) -> None:
    """Write the store.

    Raises:
        StoreError: the disk refuses.
    """
    with writing(path) as file:
        guard(Opinions, opinions.select(COLUMNS), str(path)).write_parquet(file)


def hear(opinions: pl.DataFrame, samples: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Return what was said of labels as they are now, and how many sayings are of older labels.

    Those of samples that are not in this set are kept: they are told as being elsewhere.
    """
    now = samples.select("sample_id", now="label", here=pl.lit(value=True))
    joined = opinions.join(now, on="sample_id", how="left").sort("sample_id", "reviewer")
    stale = pl.col("here").fill_null(value=False) & pl.col("label").ne_missing(pl.col("now"))
    return joined.filter(~stale).select(opinions.columns), joined.filter(stale).height


def decide_by_reviews(reviews: pl.DataFrame, wrong: str) -> pl.DataFrame:
    """Return the decisions that verdicts come to: sample_id, action, new_label, decided_by.

    Args:
        reviews: tables.Reviews; unsure ones decide nothing.
        wrong: the action where a label is wrong and nobody knows the right one.
    """
    action = (
        pl.when(pl.col("verdict") == "right").then(pl.lit("keep"))
        .when(pl.col("new_label").is_not_null()).then(pl.lit("relabel"))
        .otherwise(pl.lit(wrong))
    )  # fmt: skip
    sure = reviews.filter(pl.col("verdict") != "unsure")
    return sure.select("sample_id", "new_label", action=action, decided_by="reviewers")


def tell_reviews(
    opinions: pl.DataFrame, stale: int, findings: pl.DataFrame, scores: pl.DataFrame
) -> dict[str, Any]:
    """Return what was reviewed, how right flags were, and whom people disagree about, as JSON."""
    reviews = settle_opinions(opinions)
    counts = {word: reviews.filter(verdict=word).height for word in ("right", "wrong", "unsure")}
    about_label = (pl.col("dimension") == "incorrect") & pl.col("column").is_null()
    rates = measure_reviews(scores, findings.filter(about_label), reviews)
    return {
        "samples": reviews.height, **counts, "stale": stale,
        "reviewers": sorted(opinions["reviewer"].unique()),
        "rates": asdict(rates), "disputed": reviews["disputed"].sum(),
        "disputes": list_disputes(opinions, reviews),
    }  # fmt: skip


def list_disputes(opinions: pl.DataFrame, reviews: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the samples on which people differ, with what each said and what stands."""
    stands = reviews.filter("disputed").select("sample_id", stands="verdict")
    label = pl.when(pl.col("new_label").is_not_null()).then(" (" + pl.col("new_label") + ")")
    words = pl.concat_str("reviewer", pl.lit(": "), "verdict", label.otherwise(pl.lit("")))
    said = (
        opinions.join(stands, on="sample_id")
        .sort("sample_id", "reviewer")
        .group_by("sample_id", "stands", maintain_order=True)
        .agg(said=words)
    )
    return said.head(SHOWN_MAX).to_dicts()
