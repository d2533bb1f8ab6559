"""How many labels are wrong, which class is given for which, and how sure each one is wrong.

What can be known from one label a sample: noise that falls on classes which the left-out model
rules out. Wrong labels on ambiguous samples look like right ones, so that the number of wrong
labels has a low end (what nothing else explains) and a high end (every confusion that noise
between classes could explain, were no sample ambiguous in that way).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from checks.labels.noise_model import LOG_RATE_BOUNDS, Array, Ints, Likelihood, count_joint, pose
from checks.metrics.threads import one_thread

FIT_ROWS_MAX = 10_000
PAIRED_CLASSES_MAX = 20  # a matrix of its own for noise and link: K * K parameters each
DRAWS = 40
SIDE = 0.025  # on each side of an interval
STEPS_MAX = 200


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of the labels. wrong: (N,), P(label is wrong). matrix: (K, K), P(given | true).

    drawn_wrong: (DRAWS, N) and drawn_matrix: (DRAWS, K, K), as uncertain as the parameters are.
    joint: (K, K), expected number of samples by true class (rows) and given label.
    fitted, best: the likelihood and its parameters, to judge other labels by.
    link: how people's verdicts corrected it (`checks.labels.verdicts`), None without any.
    """

    wrong: Array
    matrix: Array
    joint: Array
    drawn_wrong: npt.NDArray[np.float32]
    drawn_matrix: Array
    fitted: Likelihood | None = None
    best: Array | None = None
    link: Array | None = None

    def count_bounds(self) -> tuple[float, float]:
        """Ends of the number of wrong labels: doubt about the parameters, and chance given them."""
        drawn = self.drawn_wrong.sum(axis=1, dtype=np.float64)
        chance = float(np.sqrt((self.wrong * (1.0 - self.wrong)).sum()))
        drawn += chance * np.random.default_rng(0).standard_normal(drawn.size)
        low, high = np.quantile(drawn, [SIDE, 1.0 - SIDE])
        return max(0.0, float(low)), min(float(self.wrong.size), float(high))

    def rejudge(self, chances: npt.NDArray[np.floating], labels: Ints) -> Array:
        """Return P(wrong), (M,), of other labels or samples, nothing fitted again."""
        assert self.fitted is not None
        assert self.best is not None
        like = self.fitted
        other = pose(chances, labels, blended=like.blended, paired=like.paired, like=like)
        return _judge(other, self.best)[1]


@dataclass(frozen=True, slots=True)
class Noise:
    """What the labels' noise can be.

    reading: the best account. floor: noise that strikes all classes alike. ceiling: the most that
    noise between classes can explain.
    """

    reading: Reading
    floor: Reading
    ceiling: Reading

    def count(self) -> tuple[float, float, float]:
        """Estimated number of wrong labels with the low and the high end."""
        best = float(self.reading.wrong.sum())
        low = min(self.floor.count_bounds()[0], self.reading.count_bounds()[0])
        return best, min(best, low), max(best, self.ceiling.count_bounds()[1])

    def matrix_bounds(self) -> tuple[Array, Array]:
        """Low and high end of P(given | true), each (K, K), over all readings."""
        drawn = [r.drawn_matrix for r in (self.reading, self.floor, self.ceiling)]
        low = np.min([np.quantile(part, SIDE, axis=0) for part in drawn], axis=0)
        high = np.max([np.quantile(part, 1 - SIDE, axis=0) for part in drawn], axis=0)
        return np.minimum(low, self.reading.matrix), np.maximum(high, self.reading.matrix)


def estimate_noise(chances: npt.NDArray[np.floating], labels: Ints, *, seed: int = 0) -> Noise:
    """Estimate the noise of given labels from left-out class chances.

    The link from chances to true classes and the noise matrix are fitted together by their
    posterior; rates of single pairs are held near a common rate, so that a class of few samples
    borrows from the others. Uncertainty: draws from the Laplace approximation.

    Args:
        chances: shape (N, K), of models that have not seen the sample; need not be calibrated.
        labels: shape (N,), 0..K - 1.
        seed: of the rows fitted on (10,000 at most) and of the draws.

    Source: own. The noise layer is Goldberger and Ben-Reuven 2017; calibrating all classes
    together is matrix scaling, Guo et al. 2017, arXiv 1706.04599. Prior widths hold for all data.
    Cost: some 2 CPU s for 10,000 samples of 10 classes.

    >>> sure = np.full((400, 2), 0.01) + 0.98 * np.eye(2)[np.arange(400) % 2]
    >>> labels = np.arange(400) % 2
    >>> labels[:20] = 1 - labels[:20]
    >>> 15 <= estimate_noise(sure, labels).count()[0] <= 20
    True
    """
    paired = chances.shape[1] <= PAIRED_CLASSES_MAX
    with one_thread():
        reading = _read(chances, labels, blended=paired, paired=paired, seed=seed)
        floor = _read(chances, labels, blended=paired, paired=False, seed=seed)
        ceiling = _read(chances, labels, blended=False, paired=paired, seed=seed)
    return Noise(reading, floor, ceiling)


def _read(
    chances: npt.NDArray[np.floating], labels: Ints, *, blended: bool, paired: bool, seed: int
) -> Reading:
    """Fit on at most FIT_ROWS_MAX rows, then judge all."""
    rng = np.random.default_rng([5, seed])
    rows = np.sort(rng.permutation(len(labels))[:FIT_ROWS_MAX])
    fitted = pose(chances[rows], labels[rows], blended=blended, paired=paired)
    best = _fit(fitted)
    whole = pose(chances, labels, blended=blended, paired=paired, like=fitted)
    true, wrong, matrix = _judge(whole, best)
    drawn = [_judge(whole, flat)[1:] for flat in _draw(fitted, best, rng)]
    return Reading(
        wrong=wrong, matrix=matrix, joint=count_joint(true, labels),
        drawn_wrong=np.array([part[0] for part in drawn], np.float32),
        drawn_matrix=np.array([part[1] for part in drawn]), fitted=fitted, best=best,
    )  # fmt: skip


def _fit(likelihood: Likelihood) -> Array:
    from scipy.optimize import minimize  # noqa: PLC0415 - a third of a second

    start = np.zeros(likelihood.parameter_count)
    start[2] = -2.0
    bounds = [(-3.0, 4.0), (-0.7, 0.7), LOG_RATE_BOUNDS] + [(-6.0, 6.0)] * (start.size - 3)
    found = minimize(likelihood.loss, start, jac=True, method="L-BFGS-B", bounds=bounds,
                     options={"maxiter": STEPS_MAX})  # fmt: skip
    best: Array = found.x
    return best


def _draw(likelihood: Likelihood, best: Array, rng: np.random.Generator) -> Array:
    """Parameters as likely as the best: (DRAWS, P)."""
    curvature = likelihood.information(best) + 1e-6 * np.eye(best.size)
    root = np.linalg.cholesky(curvature)
    away = np.linalg.solve(root.T, rng.standard_normal((best.size, DRAWS))).T
    drawn = best + away
    drawn[:, :2] = np.clip(drawn[:, :2], best[:2] - 1, best[:2] + 1)
    drawn[:, 2] = np.clip(drawn[:, 2], *LOG_RATE_BOUNDS)
    return drawn


def _judge(likelihood: Likelihood, flat: Array) -> tuple[Array, Array, Array]:
    """Return P(true class), (N, K), P(wrong), (N,), and the noise matrix (K, K)."""
    _, true, noise = likelihood.mix(likelihood.unpack(flat))
    held, _ = likelihood.posterior(true, noise)
    return held, 1.0 - held[np.arange(len(held)), likelihood.labels], noise
