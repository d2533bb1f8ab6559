"""How well one property of a file tells a class from all others: the best range, and its chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.metrics.bins import Bins, cut

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
CELLS_MAX = 1_000_000  # in one block of drawn tables


@dataclass(frozen=True, slots=True)
class Betrayal:
    """The best range of one property for one class.

    label: the class. low, high: first and last bin of the range. inside_frac, others_frac: share
    of the class, and of all other samples, in the range. gap: their difference, 0..1. p: chance of
    a gap as clear for any class of the set if labels said nothing about the property.
    """

    label: int
    low: int
    high: int
    inside_frac: float
    others_frac: float
    p: float

    @property
    def gap(self) -> float:
        """The difference of the two shares."""
        return self.inside_frac - self.others_frac


def tabulate(values: pl.Series, labels: Counts, classes: int) -> tuple[Bins, Counts]:
    """Return the bins of a property, about ten, and its counts by class: shape (K, B)."""
    fine = cut(values, "number" if values.dtype.is_numeric() else "category")
    bins = Bins("number", tuple(fine.edges[at] for at in fine.coarse)) if fine.edges else fine
    cells = labels * bins.size + bins.place(values)
    counted = np.bincount(cells, minlength=classes * bins.size)
    return bins, counted.reshape(classes, bins.size).astype(np.int64)


def find_betrayals(
    table_KB: Counts, *, ordered: bool, count_min: int, rounds: int, seed: int
) -> list[Betrayal]:
    """Return for each class with `count_min` samples or more its best range, clearest first.

    Args:
        table_KB: counts by class and bin, the last bin for missing values.
        ordered: numbers take ranges of neighbouring bins, categories one value.
        count_min: smaller classes are left out: by chance, a few samples sit close together.
        rounds: tables drawn under the null.
        seed: of the draws.

    The null is a random order of the labels: tables with the same margins (Patefield 1981,
    algorithm AS 159; scipy), which costs nothing for more samples. A gap is judged by its
    distance in standard errors against the largest one of any class in each drawn table, so that
    p is right for all classes together.

    >>> table = np.array([[97, 3, 0], [3, 97, 0]])
    >>> best = find_betrayals(table, ordered=False, count_min=20, rounds=199, seed=0)[0]
    >>> best.inside_frac, best.others_frac, best.p
    (0.97, 0.03, 0.005)
    """
    from scipy.stats import random_table  # noqa: PLC0415 - slow to import

    table = table_KB[:, table_KB.sum(axis=0) > 0]
    bins = np.flatnonzero(table_KB.sum(axis=0) > 0)
    sizes, total = table.sum(axis=1), int(table.sum())
    judged = np.flatnonzero((sizes >= count_min) & (total - sizes >= count_min))
    if not judged.size or table.shape[1] < 2:  # noqa: PLR2004 - one bin tells nothing apart
        return []
    last = table.shape[1] - (bins[-1] == table_KB.shape[1] - 1)  # missing is next to nothing
    ranges = _list_ranges(table.shape[1], int(last), ordered=ordered)
    gaps, inside, others = (part[0] for part in _measure(table[None], judged, ranges))
    drawer = random_table(sizes[sizes > 0], table.sum(axis=0), seed=np.random.default_rng(seed))
    drawn = np.zeros((rounds, *table.shape), np.int64)
    drawn[:, sizes > 0] = drawer.rvs(size=rounds).astype(np.int64)
    step = max(1, CELLS_MAX // (len(table) * len(ranges)))
    parts = (drawn[at : at + step] for at in range(0, rounds, step))
    null = np.concatenate([_measure(part, judged, ranges)[0].max(axis=(1, 2)) for part in parts])
    best = gaps.argmax(axis=1)
    found = []
    for row, label in enumerate(judged):
        at = int(best[row])
        chance = (1 + int((null >= gaps[row, at]).sum())) / (1 + rounds)
        low, high = (int(bins[place]) for place in ranges[at])
        own, rest = (round(float(share[row, at]), 6) for share in (inside, others))
        found.append(Betrayal(int(label), low, high, own, rest, chance))
    return sorted(found, key=lambda one: (-one.gap, one.label))


def _list_ranges(bins: int, last: int, *, ordered: bool) -> list[tuple[int, int]]:
    """First and last bin of every range that may betray a class."""
    alone = [(at, at) for at in range(bins)]
    if not ordered:
        return alone
    wide = [(a, b) for a in range(last) for b in range(a + 1, last)]
    return [*alone, *wide]


def _measure(
    tables: Counts, judged: Counts, ranges: list[tuple[int, int]]
) -> tuple[Floats, Floats, Floats]:
    """Standard errors between class and others, and both shares: from (T, K, B) to (T, J, R)."""
    sums = np.pad(tables.cumsum(axis=2), ((0, 0), (0, 0), (1, 0)))
    low, high = np.array(ranges).T
    held = sums[:, judged][:, :, high + 1] - sums[:, judged][:, :, low]
    whole = sums.sum(axis=1)[:, None]
    every = whole[:, :, high + 1] - whole[:, :, low]
    size = sums[:, judged][:, :, -1:]
    total = whole[:, :, -1:]
    inside, others = held / size, (every - held) / (total - size)
    pooled = every / total
    spread = np.sqrt(pooled * (1 - pooled) * (1 / size + 1 / (total - size)))
    clear = np.divide(inside - others, spread, out=np.zeros_like(spread), where=spread > 0)
    return clear, inside, others


def gain_accuracy(table_KB: Counts) -> float:
    """Return how far guessing the label from the bin alone goes from the majority to perfect.

    0 (no better than the largest class) to 1, each sample guessed from all others of its bin.

    Source: the score of cleanlab Datalab's spurious_correlations, whose baseline by mistake is the
    number of the largest class in place of its size; here without a model and left out exactly.

    >>> gain_accuracy(np.array([[50, 0], [0, 50]])), gain_accuracy(np.array([[25, 25], [25, 25]]))
    (1.0, 0.0)
    """
    total, largest = int(table_KB.sum()), int(table_KB.sum(axis=1).max(initial=0))
    if total == largest:
        return 0.0
    ranked = np.sort(np.vstack([table_KB, np.zeros_like(table_KB[:1])]), axis=0)
    right = int(ranked[-1][ranked[-1] - 1 > ranked[-2]].sum())
    return round(max(0.0, (right - largest) / (total - largest)), 6)
