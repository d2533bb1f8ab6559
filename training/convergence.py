"""Convergence of paired training runs: area under the curve and censored times to a target.

Pure functions of numpy arrays. Times are in the unit of the steps given, infinite where a run
never arrived; position s of two arms comes from the same seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.statistics import Floats, t_interval


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of mean times.

    at_least: only the numerator was censored, the truth is no smaller. at_most: only the
    denominator was, the truth is no larger.
    """

    estimate: float
    low: float
    high: float
    at_least: bool
    at_most: bool = False


def aulc(steps: NDArray[Any], accuracy: Floats) -> float:
    """Return the area under the learning curve over its length: the mean accuracy on the way.

    Equal to the time to accuracy averaged over all targets (integrating by parts),
    and never censored.

    >>> aulc(np.array([0, 10]), np.array([0.0, 1.0]))
    0.5
    """
    return float(np.trapezoid(accuracy, steps) / (steps[-1] - steps[0]))


def first_passage(steps: NDArray[Any], accuracy: Floats, target: float) -> float:
    """Return the step at which the curve reaches `target` and stays for two evaluations.

    Linear between evaluations; infinite where it never does. One evaluation above the target is
    luck, and favours the noisier arm.

    >>> first_passage(np.array([0, 10, 20]), np.array([0.0, 0.4, 0.6]), 0.2)
    5.0
    """
    above = accuracy >= target
    held = np.flatnonzero(above[:-1] & above[1:])
    if held.size == 0:
        return float("inf")
    k = int(held[0])
    if k == 0:
        return float(steps[0])
    share = (target - accuracy[k - 1]) / (accuracy[k] - accuracy[k - 1])
    return float(steps[k - 1] + share * (steps[k] - steps[k - 1]))


def restricted(times: Floats, tau: float) -> Floats:
    """Return min(T, tau); its mean is the restricted mean time, with no run left out.

    >>> restricted(np.array([5.0, np.inf]), 10.0).tolist()
    [5.0, 10.0]
    """
    return np.minimum(times, tau)


def rmst_ratio(reference: Floats, treated: Floats, tau: float, level: float = 0.95) -> Ratio:
    """Return RMST(reference) / RMST(treated): how many times sooner the treated arm arrives.

    times of shape (S,) in steps, infinite where the run never arrived; under one step counts as
    one. Jackknife over paired seeds on the log scale. Where only reference runs are censored the
    true ratio is no smaller (`at_least`), where only treated ones are, no larger (`at_most`).

    >>> rmst_ratio(np.array([20.0, np.inf]), np.array([10.0, 15.0]), 40.0).estimate
    2.4
    """
    a, b = (np.maximum(restricted(times, tau), 1.0) for times in (reference, treated))
    s = a.size
    whole = float(np.log(a.mean() / b.mean()))
    left_out = np.log(((a.sum() - a) / (s - 1)) / ((b.sum() - b) / (s - 1)))
    error = float((s * whole - (s - 1) * left_out).std(ddof=1)) / s**0.5
    got = t_interval(whole, error, s - 1, s, level)
    late, later = bool((reference > tau).any()), bool((treated > tau).any())
    low, high, middle = (round(float(np.exp(v)), 12) for v in (got.low, got.high, whole))
    return Ratio(middle, low, high, late and not later, later and not late)
