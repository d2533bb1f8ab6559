"""Pairs of a rare and a frequent value that are spelt almost alike."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import polars as pl
from rapidfuzz.distance import OSA
from rapidfuzz.process import cdist

from checks.metrics.tabular_profile import ClosePair

_RARE_CAP, _FREQUENT_CAP = 5000, 1000
_RATIO_MIN = 3  # the check asks for more; this bounds what the profile stores
_ONWARD_MIN = 10
_CODE = re.compile(r"\S*\d\S*")


def close_pairs(values: pl.DataFrame) -> tuple[ClosePair, ...]:
    """Return, for each rare value, the frequent one nearest in spelling, if it is near enough.

    Args:
        values: key (String, stripped), count; at least one value is `_RATIO_MIN` times as frequent.

    Near enough: equal but for case, or 1 edit from 4 characters on, 2 from 8, a tenth of the length
    from 30, with words that hold digits equal (they are codes: A319 is no typo of A320).

    Source: optimal string alignment (Damerau 1964: 80 % of misspellings are one edit).
    """
    ranked = values.sort(["count", "key"], descending=[True, False])
    ranked = ranked.filter(pl.col("key").str.len_chars() >= 2)  # noqa: PLR2004
    if ranked.height < 2:  # noqa: PLR2004
        return ()
    frequent = ranked.filter(pl.col("count") >= _RATIO_MIN).head(_FREQUENT_CAP)
    ceiling = int(ranked["count"][0]) // _RATIO_MIN
    rare = ranked.filter(pl.col("count") <= ceiling).tail(_RARE_CAP)
    if frequent.is_empty() or rare.is_empty():
        return ()
    words, names = rare["key"].to_list(), frequent["key"].to_list()
    reach = np.array([_reach(len(name)) for name in names])
    away = cdist(
        [word.casefold() for word in words], [name.casefold() for name in names],
        scorer=OSA.distance, score_cutoff=int(reach.max()), dtype=np.uint8,
    )  # fmt: skip
    counts = rare["count"].to_numpy(), frequent["count"].to_numpy()
    near = (away <= reach) & (counts[1] >= _RATIO_MIN * counts[0][:, None])
    sizes = [count.tolist() for count in counts]
    found = []
    for i in np.flatnonzero(near.any(axis=1)).tolist():
        others = [(int(away[i, j]), -sizes[1][j], names[j]) for j in np.flatnonzero(near[i])]
        pair = _nearest(words[i], sizes[0][i], others)
        if pair is not None:
            found.append(pair)
    return _follow(found)


def _follow(found: list[ClosePair]) -> tuple[ClosePair, ...]:
    """Lead a typo of a commoner typo on to the word that both were meant to be."""
    onward = {p.rare: p for p in found if p.frequent_count >= _ONWARD_MIN * p.rare_count}
    led = []
    for pair in found:
        on = onward.get(pair.frequent)
        if on is not None and on.frequent != pair.rare:
            pair = replace(  # noqa: PLW2901
                pair, frequent=on.frequent, frequent_count=on.frequent_count,
                distance=pair.distance + on.distance, unique=pair.unique and on.unique,
            )  # fmt: skip
        led.append(pair)
    return tuple(sorted(led, key=lambda p: (p.rare, p.frequent)))


def _reach(length: int) -> int:
    """How many edits may lie between a word that was meant, of this length, and what stands."""
    for bound, reach in ((4, 0), (8, 1), (30, 2)):
        if length < bound:
            return reach
    return min(length // 10, 12)


def _nearest(word: str, size: int, others: list[tuple[int, int, str]]) -> ClosePair | None:
    """The pair of a word with the nearest of `others`: (edits, -count, word)."""
    codes = _CODE.findall(word.casefold())
    scored = [o for o in others if o[2] != word and _CODE.findall(o[2].casefold()) == codes]
    if not scored:
        return None
    # a commoner typo of the same word is no rival
    top = min(count for _, count, _ in scored)
    scored = [s for s in scored if s[1] * 20 <= top]
    away, count, other = min(scored)
    alone = sum(d == away for d, _, _ in scored) == 1
    return ClosePair(word, size, other, -count, away, alone)
