"""What cleaning costs and saves: trainings until it has paid, and the raw data it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from training import statistics as st
from training.arms import CLEANED, RAW
from training.convergence import restricted
from training.judged import Judged
from training.speedups import cpu_per_step
from training.statistics import Floats

SUBSETS = ("raw:0.25", "raw:0.5")
_COMPLEX_STEP = 1e-20


@dataclass(frozen=True, slots=True)
class BreakEven:
    """How many trainings pay for the cleaning.

    word: pays; at_once (already the first training does); never (no time is saved); open (the
    interval of the time saved holds zero). trainings: None where nothing is saved. high: None
    where there is no upper bound.
    """

    word: Literal["pays", "at_once", "never", "open"]
    trainings: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Equivalent:
    """How much raw data would train as well as the cleaned data: a forecast, not a measurement.

    samples = factor n; low and high bound factor. exponent, limit: of acc = limit - b n^-exponent.
    refused: why there is none, and then the numbers are NaN.
    """

    samples: float
    factor: float
    low: float
    high: float
    exponent: float
    limit: float
    n: int
    refused: str = ""


def break_even(cost: float, raw: Floats, cleaned: Floats) -> BreakEven:
    """Return cost / mean(raw - cleaned): trainings after which the cleaning has paid.

    Args:
        cost: of the cleaning, in the unit of the times, above 0; taken as known exactly.
        raw: (S,) time to the target.
        cleaned: (S,) the same, paired over seeds.

    The interval inverts the t interval of the time saved, which is Fieller's with an exact top.

    >>> break_even(30.0, np.array([20.0, 21.0, 22.0]), np.array([10.0, 10.0, 13.0])).word
    'pays'
    """
    saved = st.paired_t(raw, cleaned)
    if saved.high <= 0:
        return BreakEven("never", None, None, None, saved.n)
    middle = cost / saved.estimate if saved.estimate > 0 else None
    if saved.low <= 0:
        return BreakEven("open", middle, cost / saved.high, None, saved.n)
    word: Literal["at_once", "pays"] = "at_once" if cost <= saved.low else "pays"
    return BreakEven(word, middle, cost / saved.high, cost / saved.low, saved.n)


def list_break_even(judged: Judged, targets: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """Return `break_even` for each target, in CPU seconds; none without the cost of cleaning.

    The cost is that of all parts of the data; the last of them is told beside it. Times are
    restricted to the budget and one step costs the same in both arms: recipe and batch are.
    at_most: only raw runs were cut off, so it truly pays no later.
    """
    parts, cost = judged.cleaning_cpu_s, sum(judged.cleaning_cpu_s)
    if cost <= 0:
        return []
    rows, each = [], cpu_per_step(judged, RAW)
    for target in targets:
        raw, cleaned = (judged.values(arm, "steps", target["accuracy"]) for arm in (RAW, CLEANED))
        late, later = bool(np.isinf(raw).any()), bool(np.isinf(cleaned).any())
        times = (restricted(steps, judged.budget) * each for steps in (raw, cleaned))
        got = asdict(break_even(cost, *times))
        paid = {"cleaning_cpu_s": cost, "parts": len(parts), "last_part_cpu_s": parts[-1]}
        rows.append({**target, **got, **paid, "at_most": late and not later})
    return rows


def data_equivalent(accuracies: Floats, samples: int, level: float = 0.95) -> Equivalent:
    """Return how many raw samples the power law of the raw accuracies says cleaning is worth.

    Args:
        accuracies: (4, S) of raw at a quarter, a half and the whole of the samples, and of the
            cleaned data; paired over seeds.
        samples: n, of the whole raw set.
        level: of the interval.

    acc(n) = limit - b n^-c passes through the three raw means; n_eq solves acc(n_eq) = cleaned:
    n ((limit - acc_raw) / (limit - acc_cleaned))^(1/c). Delta method on log(n_eq / n) over paired
    seeds. Refused where the curve does not rise ever more slowly, where c is not shown to be above
    0, or where the cleaned accuracy is not shown to lie below the limit.
    Source of the power law: Hestness et al. 2017 (arXiv 1712.00409).
    """
    means, seeds = accuracies.mean(axis=1), accuracies.shape[1]
    first, second = float(means[1] - means[0]), float(means[2] - means[1])
    if not 0 < second < first:
        return _refuse(seeds, "the accuracy of raw subsets does not rise ever more slowly")
    beyond = "no amount of raw data is shown to reach the cleaned accuracy"
    if second**2 / (first - second) <= means[3] - means[2]:
        return _refuse(seeds, beyond)
    curve, slopes = _fit(means), _differentiate(means)
    spread = slopes @ np.cov(accuracies, ddof=1) @ slopes.T / seeds
    half = float(stats.t.ppf(0.5 + level / 2, seeds - 1)) * np.sqrt(np.diag(spread))
    exponent, gap, log_factor = curve
    if exponent - half[0] <= 0:
        return _refuse(seeds, "these seeds do not tell the bend of the learning curve")
    if gap - half[1] <= 0:
        return _refuse(seeds, beyond)
    low, factor, high = np.exp([log_factor - half[2], log_factor, log_factor + half[2]])
    limit = float(means[3] + gap)
    return Equivalent(
        float(factor * samples), float(factor), float(low), float(high), float(exponent), limit,
        seeds,
    )  # fmt: skip


def _fit(means: NDArray[Any]) -> NDArray[Any]:
    """Return (exponent, limit - cleaned, log n_eq/n) of the four means, real or complex."""
    growth = (means[1] - means[0]) / (means[2] - means[1])
    exponent = np.log(growth) / np.log(2)
    left = (means[2] - means[1]) / (growth - 1)
    gap = left - (means[3] - means[2])
    return np.array([exponent, gap, (np.log(left) - np.log(gap)) / exponent])


def _differentiate(means: Floats) -> Floats:
    """Return the derivatives (3, 4) of `_fit`, exact to rounding: a step along the imaginary."""
    steps = means + 1j * _COMPLEX_STEP * np.eye(4)
    return np.stack([_fit(one).imag for one in steps], axis=1) / _COMPLEX_STEP


def _refuse(seeds: int, why: str) -> Equivalent:
    nan = float("nan")
    return Equivalent(nan, nan, nan, nan, nan, nan, seeds, why)


def forecast_equivalent(judged: Judged) -> dict[str, Any] | None:
    """Return `data_equivalent` of the tier; None without the arms of raw subsets."""
    if not set(SUBSETS) <= set(judged.runs):
        return None
    arms = (*SUBSETS, RAW, CLEANED)
    accuracies = np.stack([judged.values(arm, "final_acc") for arm in arms])
    return asdict(data_equivalent(accuracies, judged.runs[RAW][0].n_train))
