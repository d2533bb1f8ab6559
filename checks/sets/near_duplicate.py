"""Pictures that repeat another of their split after a resize, a re-encode, a crop or a turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.metrics.similarity import star_groups
from checks.sets.copies import Copies, Rule, find_copies

ID = "{:032x}-0"


def _pictures(words: Sequence[int], splits: Sequence[str]) -> dict[str, dict[str, list[object]]]:
    """Pictures of 100 x 100 px; `words` is the first word of the hash, the rest is equal."""
    ids: list[object] = [ID.format(at) for at in range(len(words))]
    count = len(words)
    return {
        "samples": {
            "sample_id": ids, "split": list(splits), "label": ["x"] * count,
            "xxh3_128": [str(name)[:32] for name in ids], "byte_size": [9] * count,
        },
        "metrics": {
            "sample_id": ids, "pixel_digest": [None] * count, "area_px": [10_000] * count,
            "width_px": [100] * count, "height_px": [100] * count, "sharpness": [5.0] * count,
            "ac_std": [30.0] * count, "phash64": list(words), "phash256_0": list(words),
            "phash256_1": [0] * count, "phash256_2": [0] * count, "phash256_3": [0] * count,
            "phash64_d4": [None] * count,
        },
    }  # fmt: skip


@set_check(
    modality="image",
    needs=("samples", "metrics"),
    dimension="duplicate",
    severity="warning",
    action="down_weight",
    bits64_max=6,
    bits256_max=40,
    bits256_small=16,
    ac_std_min=4.0,
    examples=(
        SetExample(_pictures([0, 7, 2**40 - 1], ["train"] * 3), frozenset({ID.format(1)})),
        SetExample(_pictures([0, 7], ["train", "test"]), frozenset()),
    ),
)
def near_duplicate(
    tables: Mapping[str, pl.LazyFrame], *, bits64_max: int, bits256_max: int,
    bits256_small: int, ac_std_min: float,
) -> Judged:  # fmt: skip
    """Flag every picture but the best one among those of a split that show the same.

    Two perceptual hashes must agree, 64 bits and then 256; mirrored and turned copies are found
    through a hash that is the same for all eight. Groups are stars: each member is close to the
    one that is kept. Exact copies are left to `exact_duplicate`.

    Why: copies weigh a subject several times over, and a random split makes them leak.
    Source: own trial, <= 6 of 64 and <= 40 of 256 bits find 98-100 % of re-encodes, resizes and
    1 % crops; for pictures below 64 px see `checks.sets.copies.Rule`.
    """
    copies = find_copies(tables, Rule(bits64_max, bits256_max, bits256_small, ac_std_min))
    findings = _judge(copies)
    return Judged(findings, facts={**copies.facts, "groups": findings["suggestion"].n_unique()})


def _judge(copies: Copies) -> pl.DataFrame:
    """Each content of a split beside the keeper of its look: its own, or that of a near one."""
    group = ["split", "look"]
    contents = copies.ranked.unique(["split", "content"], keep="first", maintain_order=True)
    stars = contents.unique(group, keep="first", maintain_order=True).select(
        *group, "sample_id"
    ).with_row_index("star")  # fmt: skip
    left = stars.select("split", left="look", star="star")
    near = copies.pairs.join(left, on="left").join(
        stars.select("split", right="look", other="star"), on=["split", "right"]
    )
    pairs = near.filter(pl.col("star") < pl.col("other")).select(
        pl.col("star").cast(pl.Int64), pl.col("other").cast(pl.Int64)
    )
    keeper = star_groups(pairs.to_numpy().reshape(-1, 2), np.arange(stars.height))
    kept = stars.with_columns(keeper=pl.Series(keeper).cast(pl.UInt32)).with_columns(
        suggestion=pl.col("sample_id").gather("keeper")
    )
    told = near.select(pl.col("other").alias("star"), pl.col("star").alias("keeper"), "bits256",
                       "limit", "how")  # fmt: skip
    kept = kept.join(told, on=["star", "keeper"], how="left").drop("sample_id")
    members = contents.join(kept, on=group, nulls_equal=True).filter(
        pl.col("sample_id") != pl.col("suggestion")
    )
    bits = pl.col("bits256").fill_null(0)
    turned = pl.when(pl.col("how").is_null()).then(pl.lit("")).otherwise(pl.format(", {}", "how"))
    evidence = pl.format("differs from {} in {} of 256 bits{}", "suggestion", bits, turned)
    return members.select(
        "sample_id", bits.cast(pl.Float64).alias("value"),
        pl.col("limit").cast(pl.Float64).alias("threshold"), "suggestion",
        evidence.alias("evidence"),
    ).sort("sample_id")  # fmt: skip
