"""Looks: contents with the same perceptual hashes, and the pairs of looks that are close."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.metrics.hamming import Hashes, count_bits, count_crowded, pair_blocks
from checks.metrics.turns import TURNS, turned_bits

WORDS = [f"phash256_{word}" for word in range(4)]
SMALL_PX = 64
LOOKS = 200_000  # random pairs looked at to learn how alike different pictures are
LOOK_QUANTILE, LOOK_SHARE = 1e-4, 0.4
BUCKET_MAX = 50_000  # looks that share 16 bits; above, their 10^9 pairs say nothing of copies
PARTNERS_MAX = 64  # pairs kept of a look whose partners have as many themselves
PAIRS = {"left": pl.UInt32, "right": pl.UInt32, "bits256": pl.Int64, "limit": pl.Int64,
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


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """The look of each row, shape (N,), UInt32; the pairs of different looks; facts."""

    look: pl.Series
    pairs: pl.DataFrame
    facts: Mapping[str, object]


def pair_looks(best: pl.DataFrame, rule: Rule) -> Looks:
    """Return the look of each content and every pair of looks that show the same picture.

    Args:
        best: one row for each content, the most worth keeping first, from `rank_samples`.
        rule: the distances.

    Returns:
        Looks are numbered in the order of `best`. Pairs: left < right, sorted. A bucket of more
        than BUCKET_MAX looks is passed over, and of pairs whose sides both have PARTNERS_MAX
        already no more are kept; the facts tell both.
    """
    usable = (
        pl.all_horizontal(pl.col(name).is_not_null() for name in ("phash64", *WORDS))
        & (pl.col("ac_std").fill_nan(None) >= rule.ac_std_min).fill_null(value=False)
    )  # fmt: skip
    hashes = ["phash64", "phash64_d4", *WORDS]
    named = best.with_columns(usable=usable, small=_is_small()).with_columns(
        *(pl.when("usable").then(name).alias(name) for name in hashes),
        own=pl.when(~pl.col("usable")).then("content"),
    )
    key = [*hashes, "own"]
    smallest = pl.col("small").any().over(key)
    firsts = named.with_columns(smallest).unique(key, keep="first", maintain_order=True)
    firsts = firsts.with_row_index("look")
    look = named.join(firsts.select(*key, "look"), on=key, how="left", nulls_equal=True,
                      maintain_order="left")["look"]  # fmt: skip
    searched = firsts.filter("usable")
    if searched.height < 2:  # noqa: PLR2004 - a pair needs two
        return Looks(look, pl.DataFrame(schema=PAIRS), {})
    rule, facts = _fit_small(searched, rule)
    keyed = searched.filter(pl.col("phash64_d4").is_not_null())
    upright = _search(searched, "phash64", rule, facts, turned=False)
    turned = _search(keyed, "phash64_d4", rule, facts, turned=True)
    pairs = pl.concat([upright, turned]).unique(
        ["left", "right"], keep="first", maintain_order=True
    )
    return Looks(look, pairs.sort("left", "right"), {**facts, "near_pairs": pairs.height})


def _is_small() -> pl.Expr:
    return pl.min_horizontal("width_px", "height_px").fill_null(0) < SMALL_PX


def _words(looks: pl.DataFrame) -> Hashes:
    return looks.select(WORDS).to_numpy().astype(np.uint64).reshape(-1, 4)


def _fit_small(looks: pl.DataFrame, rule: Rule) -> tuple[Rule, dict[str, object]]:
    """Give small pictures the most bits that random pairs of this set allow."""
    if not looks["small"].any():
        return rule, {}
    words = _words(looks)
    one, two = np.random.default_rng(0).integers(0, looks.height, (2, LOOKS))
    bits = count_bits(words[one[one != two]], words[two[one != two]])
    nth = int(LOOK_QUANTILE * bits.size)
    allowed = int(LOOK_SHARE * np.partition(bits, nth)[nth])
    limit = min(max(allowed, rule.bits256_small), rule.bits256_max)
    return replace(rule, bits256_small=limit), {"bits256_small_limit": limit}


def _search(
    looks: pl.DataFrame, column: str, rule: Rule, facts: dict[str, object], *, turned: bool
) -> pl.DataFrame:
    """Pairs close in the 64 bits of `column` that agree in 256 bits too, a block at a time."""
    hashes, words = looks[column].to_numpy(), _words(looks)
    at, small = looks["look"].to_numpy(), looks["small"].to_numpy()
    crowded = count_crowded(hashes, rule.bits64_max, BUCKET_MAX)
    if crowded.buckets:
        facts[f"{column}_over_{BUCKET_MAX}"] = asdict(crowded)
    partners, left_out = np.zeros(looks.height, np.int64), 0
    parts = [pl.DataFrame(schema=PAIRS)]
    for block in pair_blocks(hashes, rule.bits64_max, bucket_max=BUCKET_MAX):
        left, right = block.T
        limit = np.where(small[left] | small[right], rule.bits256_small, rule.bits256_max)
        if turned:
            bits, turn = turned_bits(words, left, right)
        else:
            bits, turn = count_bits(words[left], words[right]), np.full(len(block), -1)
        near = np.flatnonzero(bits <= limit)
        kept = near[_has_room(partners, block[near])]
        left_out += near.size - kept.size
        how = pl.Series([*TURNS, None], dtype=pl.String).gather(turn[kept] % (len(TURNS) + 1))
        parts.append(pl.DataFrame({
            "left": at[left[kept]], "right": at[right[kept]], "bits256": bits[kept],
            "limit": limit[kept], "how": how,
        }))  # fmt: skip
    if left_out:
        facts[f"{column}_pairs_left_out"] = left_out
    return pl.concat(parts)


def _has_room(
    partners: npt.NDArray[np.int64], pairs: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Whether a side has fewer than PARTNERS_MAX pairs before this block; counts those taken."""
    room: npt.NDArray[np.bool_] = np.any(partners[pairs] < PARTNERS_MAX, axis=1)
    np.add.at(partners, pairs[room].ravel(), 1)
    return room
