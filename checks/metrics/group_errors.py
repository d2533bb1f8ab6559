"""Whether a group of samples errs more than its classes do elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class GroupError:
    """The errors of one group beside those that are expected.

    size: samples. wrong: errors among them. expected: share of errors that its classes have
    elsewhere, 0..1. p: chance of as many errors or more, one-sided.
    """

    size: int
    wrong: int
    expected: float
    p: float

    @property
    def gap(self) -> float:
        """Share of errors above what is expected.

        >>> GroupError(10, 4, 0.1, 0.01).gap.__round__(2)
        0.3
        """
        return self.wrong / self.size - self.expected


def compare_group(inside: Flags, wrong: Flags, given: Codes, guessed: Codes) -> GroupError:
    """Return the errors of a group beside those that the same classes have outside it.

    A group is expected to err as its given labels do elsewhere, or as the labels that are guessed
    for it do, whichever is more: a group that is harder only because its class is, is as expected.
    A class that lies wholly inside cannot be compared and counts as it came. The chance allows for
    the samples outside being few too (beta-binomial).

    Args:
        inside: shape (N,), which samples the group holds, at least one.
        wrong: shape (N,), which ones are guessed wrong.
        given: shape (N,), classes from 0.
        guessed: shape (N,), classes from 0.

    Source: indirect standardisation of rates (Breslow and Day 1987); the tail of unequal chances
    is below that of equal ones (Hoeffding 1956).

    >>> inside = np.arange(200) < 40
    >>> wrong = np.where(inside, np.arange(200) % 2 == 0, np.arange(200) % 10 == 0)
    >>> one = compare_group(inside, wrong, np.zeros(200, int), np.zeros(200, int))
    >>> one.wrong, round(one.expected, 2), one.p < 1e-3
    (20, 0.1, True)
    """
    size, count = int(inside.sum()), int((inside & wrong).sum())
    both = [_expect(inside, wrong, classes) for classes in (given, guessed)]
    expected, outside = max(both)
    return GroupError(size, count, round(expected, 9), _tail(count, size, expected, outside))


def _expect(inside: Flags, wrong: Flags, classes: Codes) -> tuple[float, float]:
    """The share of errors expected inside, and of how many samples outside one knows as much."""
    width = int(classes.max()) + 1
    own = np.bincount(classes[inside], minlength=width).astype(np.float64)
    own_wrong = np.bincount(classes[inside & wrong], minlength=width)
    rest = np.bincount(classes[~inside], minlength=width).astype(np.float64)
    rest_wrong = np.bincount(classes[~inside & wrong], minlength=width)
    rate = (rest_wrong + 0.5) / (rest + 1)
    size = own.sum()
    expected = float((own * rate)[rest > 0].sum() + own_wrong[rest == 0].sum()) / size
    variance = float((own**2 * rate * (1 - rate) / (rest + 1))[rest > 0].sum()) / size**2
    share = float(min(max(expected, 0.5 / size), 1 - 0.5 / size))
    return share, share * (1 - share) / variance if variance > 0 else float(len(inside))


def _tail(count: int, size: int, expected: float, outside: float) -> float:
    from scipy.stats import betabinom  # noqa: PLC0415 - two thirds of a second

    if count <= expected * size:
        return 1.0
    return float(betabinom.sf(count - 1, size, expected * outside, (1 - expected) * outside))
