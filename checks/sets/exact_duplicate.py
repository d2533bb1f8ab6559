"""Samples that repeat another of their split, byte by byte or pixel by pixel."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.sets.copies import rank_samples

A, B = "a" * 32, "b" * 32


def _samples(*rows: tuple[str, str], labels: str = "xxx") -> dict[str, dict[str, list[object]]]:
    """A samples table of (digest, split) rows; occurrences are counted."""
    ids = [f"{digest}-{[d for d, _ in rows[:at]].count(digest)}" for at, (digest, _) in
           enumerate(rows)]  # fmt: skip
    return {"samples": {
        "sample_id": list(ids), "split": [split for _, split in rows],
        "label": list(labels[: len(rows)]), "xxh3_128": [digest for digest, _ in rows],
        "byte_size": [9] * len(rows),
    }}  # fmt: skip


@set_check(
    needs=("samples", "metrics?"),
    dimension="duplicate",
    severity="warning",
    action="drop",
    examples=(
        SetExample(_samples((A, "train"), (A, "train"), (B, "train")), frozenset({f"{A}-1"})),
        SetExample(_samples((A, "train"), (A, "test"), (B, "train")), frozenset()),
        SetExample(_samples((A, "train"), (A, "train"), labels="xy"), frozenset()),
    ),
)
def exact_duplicate(tables: Mapping[str, pl.LazyFrame]) -> Judged:
    """Flag every sample but the best one among those of a split with equal content and label.

    Equal are bytes, or pixels with shape and mode. Copies with another label are no duplicates but
    a contradiction, which `conflicting_labels` tells. Kept is the one with the highest resolution,
    then the sharpest, the largest file, and the first sample_id.

    Why: copies weigh a sample several times over, and make a split that is drawn later leak.
    Source: cleanvision and imagededup hash pixels without the shape; here the shape is part of it.
    """
    ranked = rank_samples(tables)
    group = ["split", "content", "label"]
    found = ranked.with_columns(
        value=pl.len().over(group).cast(pl.Float64),
        suggestion=pl.col("sample_id").first().over(group),
        same=(pl.col("xxh3_128") == pl.col("xxh3_128").first().over(group)),
    ).filter(pl.col("sample_id") != pl.col("suggestion"))
    what = pl.when("same").then(pl.lit("bytes")).otherwise(pl.lit("pixels"))
    evidence = pl.format("the same {} as {}, one of {} copies in {}", what, "suggestion",
                         pl.col("value").cast(pl.Int64), "split")  # fmt: skip
    findings = found.select("sample_id", "value", "suggestion", evidence=evidence)
    return Judged(findings.sort("sample_id"), facts={"groups": found["suggestion"].n_unique()})
