"""Running counts of one column: its heaviest values, and its numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from checks.metrics import number_kernel
from checks.metrics.counting_kernel import count_hashes, fill
from checks.metrics.number_kernel import BUCKET_SPAN, measure_numbers, merge_sorted

_SLOTS_FIRST = 256

Words = NDArray[np.uint64]
Counts = NDArray[np.int64]


@dataclass(slots=True)
class Heavy:
    """Values of a column with their counts: all of up to `capacity`, then the `kept` heaviest."""

    capacity: int
    kept: int
    slots: Words = field(default_factory=lambda: np.zeros(_SLOTS_FIRST, np.uint64))
    counts: Counts = field(default_factory=lambda: np.zeros(_SLOTS_FIRST, np.int64))
    origin: Counts = field(default_factory=lambda: np.zeros(_SLOTS_FIRST, np.int64))
    state: Counts = field(default_factory=lambda: np.zeros(2, np.int64))
    texts: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.String))

    def add(self, hashes: Words, tell: Callable[[NDArray[Any]], pl.Series]) -> None:
        """Count one batch; `tell` returns the texts of rows of it."""
        at = 0
        while at < hashes.size:
            at = count_hashes(
                hashes, at, self.slots, self.counts, self.origin, self.capacity, self.kept,
                self.state,
            )  # fmt: skip
            if at < hashes.size:
                self._resize(4 * self.slots.size)
        held = np.flatnonzero(self.slots)
        fresh = held[self.origin[held] > 0]
        if fresh.size:
            old = held[self.origin[held] <= 0]
            parts = [self.texts.gather(-self.origin[old]), tell(self.origin[fresh] - 1)]
            self.texts = _compact(pl.concat(parts))
            self.origin[old] = -np.arange(old.size)
            self.origin[fresh] = -np.arange(old.size, held.size)
        small = 1 << (4 * self.kept - 1).bit_length()  # slots are found by the low bits of a hash
        if self.state[1] and self.slots.size > small:
            self._resize(small)

    def _resize(self, size: int) -> None:
        held = np.flatnonzero(self.slots)
        entries = self.slots[held], self.counts[held], self.origin[held]
        self.slots = np.zeros(size, np.uint64)
        self.counts, self.origin = np.zeros(size, np.int64), np.zeros(size, np.int64)
        fill(self.slots, self.counts, self.origin, *entries)

    def frame(self, column: int, of: str) -> pl.DataFrame:
        """Return the entries as rows of TableState.heavy."""
        held = np.flatnonzero(self.slots)
        n = held.size
        return pl.DataFrame(
            {"column": np.full(n, column, np.uint32), "of": [of] * n, "hash": self.slots[held],
             "text": self.texts.gather(-self.origin[held]), "count": self.counts[held]}
        )  # fmt: skip


def _compact(texts: pl.Series) -> pl.Series:
    """A copy of its own: gathered texts would keep the whole batch that they come from."""
    copied = pl.from_arrow(texts.to_arrow(compat_level=pl.CompatLevel.oldest()))
    assert isinstance(copied, pl.Series)
    return copied


@dataclass(slots=True)
class Numbers:
    """The finite numbers that a column holds in one form of reading it."""

    step: float = 0.0
    counts: Counts = field(default_factory=lambda: np.zeros(len(number_kernel.COUNTS), np.int64))
    ends: NDArray[np.float64] = field(default_factory=lambda: np.array([np.inf, -np.inf]))
    moments: tuple[int, float, float] = (0, 0.0, 0.0)
    keys: Counts = field(default_factory=lambda: np.zeros(0, np.int64))
    bucket_counts: Counts = field(default_factory=lambda: np.zeros(0, np.int64))

    def add(
        self, numbers: NDArray[np.float64], raw: Words, valid: tuple[Any, int],
        dense: NDArray[np.uint32], hashes: Words,
    ) -> None:  # fmt: skip
        """Count one batch; `dense` is all zero before and after."""
        reach = self.no_reach()
        for given in (numbers, raw):  # one kind of array, so that the pass is compiled once
            given.setflags(write=False)
        told = measure_numbers(
            numbers, raw, *valid, self.step, self.counts, self.ends, dense, reach, hashes
        )
        self.moments = _join(self.moments, told)
        self.take(dense, reach)

    @staticmethod
    def no_reach() -> Counts:
        """Return the reach of buckets of which none was touched."""
        return np.array([BUCKET_SPAN, -1, BUCKET_SPAN, -1], np.int64)

    def take(self, dense: NDArray[np.uint32], reach: Counts) -> None:
        """Add what lies in `dense` within `reach`, and leave it all zero."""
        for row, sign in ((1, -1), (0, 1)):
            window = dense[row, reach[2 * row] : reach[2 * row + 1] + 1]
            touched = np.flatnonzero(window)
            keys = sign * (touched + reach[2 * row] + 1)
            self._merge(keys[::sign], window[touched][::sign].astype(np.int64))
            window[touched] = 0

    def _merge(self, keys: Counts, counts: Counts) -> None:
        out = np.empty((2, self.keys.size + keys.size), np.int64)
        size = merge_sorted(self.keys, self.bucket_counts, np.ascontiguousarray(keys),
                            np.ascontiguousarray(counts), out)  # fmt: skip
        self.keys, self.bucket_counts = out[0, :size].copy(), out[1, :size].copy()


def _join(
    left: tuple[int, float, float], right: tuple[int, float, float]
) -> tuple[int, float, float]:
    """Chan, Golub and LeVeque 1979."""
    n, m = left[0], right[0]
    if not n or not m:
        return left if n else right
    gap = right[1] - left[1]
    return n + m, left[1] + gap * (m / (n + m)), left[2] + right[2] + gap * gap * (n / (n + m) * m)
