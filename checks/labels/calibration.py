"""How many labels to flag: precision from the noise model, recall from flips that we plant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from checks.labels.noise_matrix import Reading
from checks.labels.noise_model import Array, Ints

Flags = npt.NDArray[np.bool_]
LOW = 0.1  # the bound that has to reach the precision asked for: one-sided 90 %
BUDGETS = np.unique(np.geomspace(0.001, 0.5, 24).round(4))
PLANTED_SHARE = 0.04
CHANCE_LEAST = 0.5


@dataclass(frozen=True, slots=True)
class Calibration:
    """Precision of flagging the first 1, 2, ... samples of an order.

    order: (M,), places of the samples that can be flagged, likeliest wrong first.
    chances: (M,), how likely each of them is wrong.
    precision, low, spread: (M,), estimated share of wrong labels among the first ones, its
    one-sided 90 % bound (neither ever rises), and the standard deviation of the true share.
    """

    order: Ints
    chances: Array
    precision: Array
    low: Array
    spread: Array

    def cap(self, wrong_count: float, recall: Array, total: int) -> Calibration:
        """Return the same with estimate and bound no higher than planted flips allow.

        Of some `wrong_count` wrong labels no larger share is found than of flips planted at
        random, which are easier. Where a class cannot be told from the features, right labels look
        as wrong as planted ones, and this says so.

        Args:
            wrong_count: estimated number of wrong labels.
            recall: shape (S,), of flips planted at random, at each of BUDGETS.
            total: N, all samples.
        """
        sizes = np.arange(1, self.order.size + 1)
        found = np.interp(sizes / total, [0.0, *BUDGETS], [0.0, *recall])
        most = _never_rising(wrong_count * found / sizes)
        return replace(
            self, low=np.minimum(self.low, most), precision=np.minimum(self.precision, most)
        )

    def choose(self, precision_min: float) -> int:
        """Return the largest number of flags whose bound reaches `precision_min`; 0 for none.

        Each is more likely wrong than right: sure ones do not make up for those behind them.
        """
        sure = int(np.searchsorted(-self.low, -precision_min, side="right"))
        return min(sure, int((self.chances >= CHANCE_LEAST).sum()))


def calibrate(reading: Reading, flaggable: Flags) -> Calibration:
    """Order the samples that can be flagged and say how precise each number of flags is.

    Args:
        reading: of N samples.
        flaggable: shape (N,).

    >>> drawn = np.tile(np.float32([0.9, 0.2, 1.0]), (40, 1))
    >>> reading = Reading(drawn[0].astype(float), np.eye(2), np.eye(2), drawn, np.eye(2)[None])
    >>> calibrate(reading, np.array([True, True, False])).precision.round(2).tolist()
    [0.9, 0.55]
    """
    wrong = np.where(flaggable, reading.wrong.round(6), -1.0)
    order = np.argsort(-wrong, kind="stable")[: int(flaggable.sum())].astype(np.int64)
    sizes = np.arange(1, order.size + 1)
    drawn = np.cumsum(reading.drawn_wrong[:, order], axis=1, dtype=np.float64) / sizes
    chances = wrong[order]
    precision = np.cumsum(chances) / sizes
    binomial = np.cumsum(chances * (1 - chances)) / sizes**2
    low = np.minimum(precision, np.quantile(drawn, LOW, axis=0)) if order.size else precision
    spread = np.sqrt(drawn.var(axis=0) + binomial)
    return Calibration(order, chances, precision, _never_rising(low), spread)


def _never_rising(low: Array) -> Array:
    """The first ones are no less likely wrong than more of them: the best bound from here on."""
    best: Array = np.maximum.accumulate(low[::-1])[::-1]
    return best


def plant_flips(
    labels: Ints, odds: npt.NDArray[np.floating], share: float, seed: int
) -> tuple[Ints, Ints]:
    """Return labels of which a `share` is moved to another class, and which ones.

    Args:
        labels: shape (N,), 0..K - 1.
        odds: shape (N, K), how readily each sample moves to each class; its own does not count.
        share: 0..1, at least one label is flipped.
        seed: the same seed flips the same ones.

    >>> flipped, where = plant_flips(np.zeros(10, np.int64), np.ones((10, 2)), 0.2, 0)
    >>> int(flipped.sum()), where.size
    (2, 2)
    """
    draw = np.random.default_rng(seed)
    free = np.array(odds, np.float64)
    free[np.arange(len(labels)), labels] = 0.0
    weight = free.sum(axis=1)
    count = min(max(1, round(share * len(labels))), int((weight > 0).sum()))
    where = draw.choice(len(labels), count, replace=False, p=weight / weight.sum())
    steps = np.cumsum(free[where], axis=1)
    flipped = labels.copy()
    flipped[where] = (draw.random(count)[:, None] * steps[:, -1:] >= steps).sum(axis=1)
    return flipped, where.astype(np.int64)


def recall_planted(
    labels: Ints, odds: npt.NDArray[np.floating], rescore: Callable[[Ints], Array], *,
    rounds: int, seed: int, shares: Array = BUDGETS,
) -> Array:  # fmt: skip
    """Return the share of planted flips found when a share of the other samples is flagged.

    Args:
        labels: shape (N,).
        odds: shape (N, K), as `plant_flips` takes them.
        rescore: from labels to scores, (N,), -inf where a sample cannot be flagged.
        rounds: of planting, one rescoring each.
        seed: of the planting.
        shares: shape (S,), ascending, 0..1.

    Returns:
        Shape (S,), 0..1, never falling.
    """
    planted, others = [], []
    for number in range(rounds):
        flipped, where = plant_flips(labels, odds, PLANTED_SHARE, seed + 1 + number)
        score = rescore(flipped)
        planted.append(score[where])
        others.append(np.delete(score, where))
    hits, ranked = np.sort(np.concatenate(planted)), np.sort(np.concatenate(others))
    places = ranked.size - np.clip((shares * ranked.size).astype(int), 1, ranked.size)
    cuts = np.maximum(ranked[places], np.finfo(np.float64).min)  # -inf is never flagged
    found: Array = 1.0 - np.searchsorted(hits, cuts, side="left") / hits.size
    return found
