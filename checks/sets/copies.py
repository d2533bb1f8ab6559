"""Copies of each other: the same content, nearly the same picture, also mirrored or turned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.core.errors import CheckError
from checks.metrics.similarity import count_bits, pairs_within

WORDS = [f"phash256_{word}" for word in range(4)]
METRICS: dict[str, type[pl.DataType]] = {
    "pixel_digest": pl.String, "area_px": pl.Int64, "width_px": pl.Int64, "height_px": pl.Int64,
    "sharpness": pl.Float64, "ac_std": pl.Float64, "phash64": pl.UInt64, "phash64_d4": pl.UInt64,
    **dict.fromkeys(WORDS, pl.UInt64),
}  # fmt: skip
TURNS = (
    "mirrored left to right", "mirrored top to bottom", "turned by 180 degrees", "transposed",
    "turned by 90 degrees", "turned by 270 degrees", "transposed the other way",
)  # fmt: skip
SMALL_PX = 64
LOOKS = 200_000  # random pairs looked at to learn how alike different pictures are
LOOK_QUANTILE, LOOK_SHARE = 1e-4, 0.4
PAIRS = {"left": pl.Int64, "right": pl.Int64, "bits256": pl.Int64, "limit": pl.Int64,
         "how": pl.String}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """When two pictures are the same. Bits are Hamming distances.

    A pair needs at most `bits64_max` of 64 bits, then at most `bits256_max` of 256. Where a side
    is below 64 px, 64 bits say little (thousands of different MNIST digits share them), and 256
    bits as much as the set allows: at most 0.4 of the 1e-4 quantile of random pairs, but
    `bits256_small` always. Of 5,000 digits the closest two differ in 20 bits, copies at JPEG
    quality 60 in 8 (median); the limit comes out as 19 there, as 38 on CIFAR-10. Nearly blank
    pictures, `ac_std` below `ac_std_min` grey levels, have no hash worth comparing.
    """

    bits64_max: int
    bits256_max: int
    bits256_small: int
    ac_std_min: float


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


def find_near(ranked: pl.DataFrame, rule: Rule) -> tuple[pl.DataFrame, dict[str, object]]:
    """Return the pairs of different contents that show the same picture, and facts.

    Args:
        ranked: from `rank_samples`, or rows of it.
        rule: the distances.

    Returns:
        left < right (row numbers in `ranked`, the first row of each content), bits256, limit (the
        most bits allowed for this pair), how (null, or how it was mirrored or turned); sorted.
    """
    usable = (
        ranked.with_row_index("at")
        .filter(
            pl.col("phash64").is_not_null(),
            pl.all_horizontal(pl.col(word).is_not_null() for word in WORDS),
            pl.col("ac_std").fill_nan(None) >= rule.ac_std_min,
        )
        .unique("content", keep="first", maintain_order=True)
    )
    if usable.height < 2:  # noqa: PLR2004 - a pair needs two
        return pl.DataFrame(schema=PAIRS), {}
    facts: dict[str, object] = {}
    rule = _fit_small(usable, rule, facts)
    upright = _verify(usable, _pairs(usable["phash64"], rule.bits64_max, facts), rule)
    keyed = usable.filter(pl.col("phash64_d4").is_not_null())
    turned = _verify(keyed, _pairs(keyed["phash64_d4"], rule.bits64_max, facts), rule, turned=True)
    pairs = pl.concat([upright, turned]).unique(["left", "right"], keep="first")
    return pairs.sort("left", "right"), facts


def _fit_small(usable: pl.DataFrame, rule: Rule, facts: dict[str, object]) -> Rule:
    """Give small pictures the most bits that random pairs of this set allow."""
    words = usable.select(WORDS).to_numpy().astype(np.uint64).reshape(-1, 4)
    one, two = np.random.default_rng(0).integers(0, usable.height, (2, LOOKS))
    bits = np.sort(count_bits(words[one[one != two]], words[two[one != two]]))
    allowed = int(LOOK_SHARE * bits[int(LOOK_QUANTILE * bits.size)])
    limit = min(max(allowed, rule.bits256_small), rule.bits256_max)
    if usable.select(_is_small().any()).item():
        facts["bits256_small_limit"] = limit
    return replace(rule, bits256_small=limit)


def _is_small() -> pl.Expr:
    return pl.min_horizontal("width_px", "height_px").fill_null(0) < SMALL_PX


def _pairs(hashes: pl.Series, distance: int, facts: dict[str, object]) -> npt.NDArray[np.int64]:
    """All pairs within `distance`; fewer bits, and a fact, where a set is full of copies."""
    for bits in range(distance, -1, -2):
        try:
            return pairs_within(hashes.to_numpy(), bits)
        except CheckError:
            facts["bits64_lowered_to"] = bits - 2
    return np.empty((0, 2), np.int64)


def _verify(
    usable: pl.DataFrame, pairs: npt.NDArray[np.int64], rule: Rule, *, turned: bool = False
) -> pl.DataFrame:
    """Keep the pairs that agree in 256 bits as well, in any orientation if `turned`."""
    words = usable.select(WORDS).to_numpy().astype(np.uint64).reshape(-1, 4)
    at = usable["at"].to_numpy().astype(np.int64)
    small = usable.select(_is_small()).to_series().to_numpy()
    parts = [pl.DataFrame(schema=PAIRS)]
    for start in range(0, len(pairs), 100_000):
        left, right = pairs[start : start + 100_000].T
        limit = np.where(small[left] | small[right], rule.bits256_small, rule.bits256_max)
        if turned:
            bits, turn = _turned_bits(words[left], words[right])
            how = pl.Series(TURNS).gather(turn)
        else:
            bits = count_bits(words[left], words[right])
            how = pl.repeat(None, len(bits), dtype=pl.String, eager=True)
        found = pl.DataFrame({"left": at[left], "right": at[right], "bits256": bits,
                              "limit": limit.astype(np.int64), "how": how})  # fmt: skip
        parts.append(found.filter(pl.col("bits256") <= pl.col("limit")))
    return pl.concat(parts)


def _turned_bits(
    left: npt.NDArray[np.uint64], right: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Fewest differing bits over the seven turns of `right`, and which turn: (P, 4) to (P,).

    A mirror image has the same DCT with the odd frequencies negated, and a hash bit says whether
    a frequency is above the median, which is close to zero: mirroring complements these bits.
    """
    first, second = _unpack(left), _unpack(right)
    odd = np.arange(16) % 2 == 1
    across, down = odd[None, None, :], odd[None, :, None]
    flips = (across, down, across ^ down)
    flipped = [second ^ flip for flip in flips]
    swapped = second.transpose(0, 2, 1)
    every = [*flipped, swapped, *(swapped ^ flip for flip in flips)]
    bits = np.stack([(first ^ other).sum(axis=(1, 2)) for other in every])
    return bits.min(axis=0).astype(np.int64), bits.argmin(axis=0)


def _unpack(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    shifts = np.arange(63, -1, -1, dtype=np.uint64)
    bits = (words[:, :, None] >> shifts) & np.uint64(1)
    return bits.reshape(-1, 16, 16).astype(np.bool_)
