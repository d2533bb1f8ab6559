"""Copies of each other: the same content, the same look, nearly the same look, once for all checks.

Three grains: samples of equal `content` have the same pixels or bytes; contents of equal `look`
have the same hashes; looks are paired where their hashes are close.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from checks.sets.looks import WORDS, Rule, pair_looks

__all__ = ["Copies", "Rule", "find_copies", "rank_samples"]

METRICS: dict[str, type[pl.DataType]] = {
    "pixel_digest": pl.String, "area_px": pl.Int64, "width_px": pl.Int64, "height_px": pl.Int64,
    "sharpness": pl.Float64, "ac_std": pl.Float64, "phash64": pl.UInt64, "phash64_d4": pl.UInt64,
    **dict.fromkeys(WORDS, pl.UInt64),
}  # fmt: skip
BACK = {"turned by 90 degrees to the left": "turned by 90 degrees to the right",
        "turned by 90 degrees to the right": "turned by 90 degrees to the left"}  # fmt: skip
_KNOWN: dict[tuple[int, int, Rule], Copies] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """Who shows the same as whom.

    ranked: every sample, the one most worth keeping first, with `content` and `look` (UInt32).
    pairs: left, right (looks; each pair in both orders), bits256, limit (the most bits allowed
        for this pair), how (null, or what was done to left to get right).
    facts: what was searched, and what a cap left out.
    """

    ranked: pl.DataFrame
    pairs: pl.DataFrame
    facts: Mapping[str, object]


def find_copies(tables: Mapping[str, pl.LazyFrame], rule: Rule) -> Copies:
    """Return the copies among all samples; checks that ask for the same tables share them.

    They are kept as long as the tables are: nothing outlives its run.

    Args:
        tables: samples, and metrics where there are any.
        rule: the distances.
    """
    frames = [tables[name] for name in ("samples", "metrics") if name in tables]
    key = (id(frames[0]), id(frames[-1]), rule)
    if key not in _KNOWN:
        ranked = rank_samples(tables)
        best = ranked.unique("content", keep="first", maintain_order=True)
        found = pair_looks(best, rule)
        look = best.select("content", look=found.look)
        ranked = ranked.join(look, on="content", how="left", maintain_order="left")
        swapped = found.pairs.select(
            pl.col("right").alias("left"), pl.col("left").alias("right"), "bits256", "limit",
            pl.col("how").replace(BACK),
        )  # fmt: skip
        _KNOWN[key] = Copies(ranked, pl.concat([found.pairs, swapped]), found.facts)
        for frame in frames:
            weakref.finalize(frame, _KNOWN.pop, key, None)
    return _KNOWN[key]


def rank_samples(tables: Mapping[str, pl.LazyFrame]) -> pl.DataFrame:
    """Return all samples with what copies are judged by, the one most worth keeping first.

    Order: resolution, sharpness, file size, then sample_id. `content` is equal for samples whose
    pixels, or bytes where pixels are not known, are equal. Metrics that are absent are null.
    """
    wanted = [pl.lit(None, dtype).alias(name) for name, dtype in METRICS.items()]
    frame = tables["samples"].select("sample_id", "split", "label", "xxh3_128", "byte_size")
    if "metrics" in tables:
        there = set(tables["metrics"].collect_schema().names())
        own = [pl.col(name).cast(dtype) for name, dtype in METRICS.items() if name in there]
        frame = frame.join(tables["metrics"].select("sample_id", *own), on="sample_id", how="left")
        wanted = [e for e in wanted if e.meta.output_name() not in there]
    frame = frame.with_columns(*wanted).with_columns(
        content=pl.coalesce("pixel_digest", "xxh3_128"),
        sharpness=pl.col("sharpness").fill_nan(None),
    )
    order = ["area_px", "sharpness", "byte_size", "sample_id"]
    return frame.sort(order, descending=[True, True, True, False], nulls_last=True).collect()
