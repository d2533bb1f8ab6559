"""Pairs of a rare and a frequent value that are spelt almost alike."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from checks.metrics.tabular_profile import ClosePair

_RARE_CAP, _FREQUENT_CAP, _BLOCK = 5000, 1000, 256
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
    names, sizes = frequent["key"].to_list(), frequent["count"].to_list()
    bags = _bags(names)
    found = []
    for start in range(0, rare.height, _BLOCK):
        block = rare.slice(start, _BLOCK)
        words = block["key"].to_list()
        reach = np.array([_reach(len(w) + 2) for w in words])
        apart = np.abs(_bags(words)[:, None, :] - bags[None, :, :]).sum(axis=2)
        near = apart <= 2 * np.maximum(reach, 0)[:, None]
        for i, (word, size) in enumerate(zip(words, block["count"].to_list(), strict=True)):
            pair = _nearest(word, size, [(names[j], sizes[j]) for j in np.flatnonzero(near[i])])
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


def _bags(words: list[str]) -> NDArray[np.int16]:
    """How often each character (folded into 32 bins) occurs: edits change it by at most 2 each."""
    bags = np.zeros((len(words), 32), np.int16)
    for i, word in enumerate(words):
        codes = np.frombuffer(word.casefold().encode("utf-32-le"), np.uint32) % 32
        bags[i] = np.bincount(codes, minlength=32)
    return bags


def _nearest(word: str, size: int, others: list[tuple[str, int]]) -> ClosePair | None:
    codes = _CODE.findall(word.casefold())
    scored = []
    for other, count in others:
        if other == word or count < _RATIO_MIN * size or _CODE.findall(other.casefold()) != codes:
            continue
        reach = _reach(len(other))
        away = edit_distance(word.casefold(), other.casefold(), reach)
        if away <= reach:
            scored.append((away, -count, other))
    if not scored:
        return None
    # a commoner typo of the same word is no rival
    top = min(count for _, count, _ in scored)
    scored = [s for s in scored if s[1] * 20 <= top]
    away, count, other = min(scored)
    alone = sum(d == away for d, _, _ in scored) == 1
    return ClosePair(word, size, other, -count, away, alone)


def edit_distance(left: str, right: str, limit: int) -> int:
    """Return the edits (insert, delete, replace, swap neighbours) between two texts.

    Anything above `limit` is given as `limit + 1`.

    >>> edit_distance("BOEING", "BEOING", 2)
    1
    """
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    above = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        row = [i] + [limit + 1] * len(right)
        for j in range(max(1, i - limit), min(len(right), i + limit) + 1):
            b = right[j - 1]
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                row[j] = min(row[j], before[j - 2] + 1)
        if min(row) > limit and min(above) >= limit:
            return limit + 1
        before, above = above, row
    return min(above[-1], limit + 1)
