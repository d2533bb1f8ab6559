"""Pictures that repeat another of their split after a resize, a re-encode, a crop or a turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.metrics.similarity import star_groups
from checks.sets.copies import Rule, find_near, rank_samples

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
    rule = Rule(bits64_max, bits256_max, bits256_small, ac_std_min)
    ranked = rank_samples(tables).unique(["split", "content"], keep="first", maintain_order=True)
    parts, facts = [], {}
    for split in ranked["split"].unique().sort():
        own = ranked.filter(pl.col("split") == split)
        pairs, told = find_near(own, rule)
        facts.update(told)
        parts.append(_judge(own, pairs))
    empty = pl.DataFrame(schema={"sample_id": pl.String, "value": pl.Float64,
                                 "threshold": pl.Float64, "suggestion": pl.String,
                                 "evidence": pl.String})  # fmt: skip
    findings = pl.concat([empty, *parts]).sort("sample_id")
    return Judged(findings, facts={**facts, "groups": findings["suggestion"].n_unique()})


def _judge(ranked: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    both = pairs.select("left", "right").to_numpy().reshape(-1, 2)
    keeper = star_groups(both, np.arange(ranked.height))
    ids = ranked["sample_id"]
    member = pl.DataFrame({"right": np.arange(ranked.height), "left": keeper}).filter(
        pl.col("left") != pl.col("right")
    )
    turned = pl.when(pl.col("how").is_null()).then(pl.lit(""))
    named = member.join(pairs, on=["left", "right"], maintain_order="left").with_columns(
        sample_id=ids.gather(member["right"]), suggestion=ids.gather(member["left"]),
        how=turned.otherwise(pl.format(", {}", "how")),
    )  # fmt: skip
    evidence = pl.format("differs from {} in {} of 256 bits{}", "suggestion", "bits256", "how")
    return named.select(
        "sample_id", pl.col("bits256").cast(pl.Float64).alias("value"),
        pl.col("limit").cast(pl.Float64).alias("threshold"), "suggestion",
        evidence.alias("evidence"),
    )  # fmt: skip
