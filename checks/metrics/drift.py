"""How far one column of a data set has moved from an approved baseline: effect sizes with a floor.

Every number here comes from two lists of counts in the same bins, so it is the same however the
rows were ordered, cut or merged, and a baseline needs no row of the data that it stands for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from checks.metrics.bins import MISSING, OTHER, Bins

Word = Literal["stable", "moderate", "large", "not_judged"]
WORDS: tuple[Word, ...] = ("not_judged", "stable", "moderate", "large")
COUNT_MIN = 50  # below this, chance alone moves the index past any threshold
LOST_MIN = 0.02  # a change of the missing share that is told before a change of the values


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as drift.

    psi_moderate, psi_large: population stability index beyond what chance gives. .1 and .25 are
    the custom of credit scoring (Siddiqi 2006, Credit Risk Scorecards): folklore without a
    derivation, and they know no sample size. ratio_moderate, ratio_large: factor by which the
    share of one value of a category grew or fell; ours, because one class of ten that doubles
    leaves the index at .06. moved_frac_min: least share of the samples by which that value must
    differ, 0..1. false_alarm: chance that a run without drift is called drifted in any column.
    """

    psi_moderate: float = 0.1
    psi_large: float = 0.25
    ratio_moderate: float = 1.5
    ratio_large: float = 3.0
    moved_frac_min: float = 0.02
    false_alarm: float = 0.05


@dataclass(frozen=True, slots=True)
class Effect:
    """How far a column moved. Fractions are 0..1, floats are rounded to 6 decimals.

    n_baseline, n: samples, those without a value included. psi: population stability index over
    about ten bins and one for missing values, natural logarithm, half a count added to each bin.
    psi_expected: its mean without drift. psi_floor: what it exceeds by chance in `false_alarm` of
    the runs, over all columns. drift_psi: psi - psi_expected where psi is above the floor, else
    0. js_distance: square root of the Jensen-Shannon divergence in bits, 0..1. ks_d:
    Kolmogorov-Smirnov distance of the measured values, read at up to 40 quantiles: the exact one
    is at least this and at most ks_d_max; None for a category. moved_frac: share that would have
    to change bin. value, value_ratio: the value of a category whose share changed most beyond
    chance, and the factor; None where none did.
    """

    n_baseline: int
    n: int
    missing_frac_baseline: float
    missing_frac: float
    psi: float
    psi_expected: float
    psi_floor: float
    drift_psi: float
    js_distance: float
    ks_d: float | None
    ks_d_max: float | None
    moved_frac: float
    value: str | None
    value_ratio: float | None
    word: Word


def compare(
    bins: Bins, baseline: Sequence[int], counts: Sequence[int], *, columns: int, limits: Limits
) -> Effect:
    """Return how far `counts` lie from `baseline`, both in the bins `bins`.

    Args:
        bins: where the column is cut; chosen on the baseline.
        baseline: `bins.size` whole numbers.
        counts: as many, of the run.
        columns: how many columns share `limits.false_alarm` (Bonferroni), which is on the safe
            side as metrics lean on each other.
        limits: what counts as drift.

    Raises:
        ValueError: the counts are not those of `bins`.

    Source of the floor: without drift psi is about (1/n + 1/m) chi2 with bins - 1 degrees
    (Yurdakul and Naranjo 2020, Statistical properties of the population stability index), whose
    mean is (bins - 1)(1/n + 1/m). Few samples thus find large drift only.

    >>> bins = Bins("category", names=("L", "RGB"))
    >>> moved = compare(bins, [100, 900, 0, 0], [300, 700, 0, 0], columns=1, limits=Limits())
    >>> moved.word, moved.value, moved.value_ratio, moved.moved_frac
    ('large', 'L', 3.0, 0.2)
    """
    if len(baseline) != bins.size or len(counts) != bins.size:
        message = f"{len(baseline)} and {len(counts)} counts for {bins.size} bins"
        raise ValueError(message)
    n, m = sum(baseline), sum(counts)
    enough = min(n, m) >= COUNT_MIN
    old, new = _drop_empty(bins.merge(list(baseline)), bins.merge(list(counts)))
    free = max(0, len(old) - 1)
    chance = (1 / n + 1 / m) if n and m else 0.0
    psi, expected = _psi(old, new), free * chance
    level = limits.false_alarm / (2 * max(1, columns))  # half for the index, half for the values
    floor = chance * _chi2_quantile(1 - level, free)
    drift = max(0.0, psi - expected) if enough and psi > floor else 0.0
    value, ratio = _most_changed(bins, baseline, counts, level, limits) if enough else (None,) * 2
    ks, slack = _ks(baseline, counts) if bins.kind == "number" else (None, None)
    return Effect(
        n_baseline=n, n=m,
        missing_frac_baseline=_round(baseline[-1] / n if n else 0.0),
        missing_frac=_round(counts[-1] / m if m else 0.0),
        psi=_round(psi), psi_expected=_round(expected), psi_floor=_round(floor),
        drift_psi=_round(drift), js_distance=_round(_js(old, new)),
        ks_d=ks, ks_d_max=slack, moved_frac=_round(_moved(old, new)),
        value=value, value_ratio=None if ratio is None else _round(ratio),
        word=_judge(drift, ratio, limits) if enough else "not_judged",
    )  # fmt: skip


def _drop_empty(old: list[int], new: list[int]) -> tuple[list[int], list[int]]:
    """Leave out bins that neither side has anything in: they add nothing, and no degree."""
    kept = [(a, b) for a, b in zip(old, new, strict=True) if a or b]
    return [a for a, _ in kept], [b for _, b in kept]


def _psi(old: list[int], new: list[int]) -> float:
    n, m, half = sum(old), sum(new), 0.5 * len(old)
    if not n or not m:
        return 0.0
    parts = []
    for a, b in zip(old, new, strict=True):
        p, q = (a + 0.5) / (n + half), (b + 0.5) / (m + half)
        parts.append((q - p) * math.log(q / p))
    return math.fsum(parts)


def _js(old: list[int], new: list[int]) -> float:
    n, m = sum(old), sum(new)
    if not n or not m:
        return 0.0
    parts = []
    for a, b in zip(old, new, strict=True):
        p, q = a / n, b / m
        parts += [x * math.log2(2 * x / (p + q)) for x in (p, q) if x]
    return math.sqrt(min(1.0, max(0.0, math.fsum(parts) / 2)))


def _moved(old: list[int], new: list[int]) -> float:
    n, m = sum(old), sum(new)
    if not n or not m:
        return 0.0
    return sum(abs(b * n - a * m) for a, b in zip(old, new, strict=True)) / (2 * n * m)


def _ks(old: Sequence[int], new: Sequence[int]) -> tuple[float, float]:
    """The distance at the edges, and the most that it can be between two of them.

    Inside a bin that holds the shares p and q, the gap cannot pass the gap at one of its ends by
    more than the larger share.
    """
    n, m = sum(old[:-1]), sum(new[:-1])
    if not n or not m:
        return 0.0, 1.0
    gap, widest, most = 0, 0, 0
    for a, b in zip(old[:-1], new[:-1], strict=True):
        low = gap
        gap += b * n - a * m
        widest = max(widest, abs(gap))
        most = max(most, abs(gap), low + b * n, a * m - low)
    return _round(widest / (n * m)), _round(min(1.0, most / (n * m)))


def _most_changed(
    bins: Bins, old: Sequence[int], new: Sequence[int], level: float, limits: Limits
) -> tuple[str | None, float | None]:
    """The value of a category whose share changed by the largest factor, beyond chance."""
    if bins.kind != "category":
        return None, None
    n, m = sum(old), sum(new)
    best: tuple[str | None, float | None] = (None, None)
    z_min = _normal_quantile(1 - level / (2 * bins.size))
    for name, a, b in zip(bins.labels, old, new, strict=True):
        p, q, pooled = a / n, b / m, (a + b) / (n + m)
        spread = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
        sure = spread > 0 and abs(q - p) > z_min * spread
        factor = ((b + 0.5) / (m + 0.5)) / ((a + 0.5) / (n + 0.5)) if 0 in (a, b) else q / p
        far = abs(math.log(factor)) > (abs(math.log(best[1])) if best[1] else 0.0)
        if sure and far and abs(q - p) >= limits.moved_frac_min:
            best = (name, factor)
    return best


def _judge(drift: float, ratio: float | None, limits: Limits) -> Word:
    factor = 1.0 if ratio is None else max(ratio, 1 / ratio)
    if drift >= limits.psi_large or factor >= limits.ratio_large:
        return "large"
    if drift >= limits.psi_moderate or factor >= limits.ratio_moderate:
        return "moderate"
    return "stable"


def tell(
    name: str, bins: Bins, effect: Effect, *, baseline: Sequence[int], counts: Sequence[int],
    medians: tuple[float | None, float | None] = (None, None),
) -> str:  # fmt: skip
    """Return one sentence about a column for a person.

    Args:
        name: the column.
        bins: its bins.
        effect: what `compare` found.
        baseline: counts that went into it.
        counts: the same of the run.
        medians: of a number, in its unit, then and now.

    >>> bins = Bins("category", names=("L",))
    >>> then, now = [99, 1, 0], [50, 50, 0]
    >>> moved = compare(bins, then, now, columns=1, limits=Limits())
    >>> tell("mode", bins, moved, baseline=then, counts=now)
    "mode: other values than the baseline's went from 1 % to 50 %"
    """
    if effect.word == "not_judged":
        return f"{name}: too few samples ({effect.n_baseline} then, {effect.n} now)"
    lost = (effect.missing_frac_baseline, effect.missing_frac)
    if abs(lost[1] - lost[0]) >= max(LOST_MIN, effect.moved_frac / 2) or effect.value == MISSING:
        return f"{name}: missing values went from {_percent(lost[0])} to {_percent(lost[1])}"
    if effect.value is not None:
        at = bins.labels.index(effect.value)
        what = "other values than the baseline's" if effect.value == OTHER else repr(effect.value)
        shares = baseline[at] / effect.n_baseline, counts[at] / effect.n
        return f"{name}: {what} went from {_percent(shares[0])} to {_percent(shares[1])}"
    before, after = medians
    if before is None or after is None:
        return f"{name}: {_percent(effect.moved_frac)} of the samples moved to other values"
    if _short(before) == _short(after):
        return f"{name}: the median stays at {_short(after)}, the spread changed"
    return f"{name}: the median went from {_short(before)} to {_short(after)}"


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"  # noqa: PLR2004


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"  # noqa: PLR2004


@cache
def _chi2_quantile(level: float, degrees: int) -> float:
    from scipy.stats import chi2  # noqa: PLC0415 - a third of a second

    return float(chi2.ppf(level, degrees)) if degrees else 0.0


@cache
def _normal_quantile(level: float) -> float:
    from scipy.stats import norm  # noqa: PLC0415 - a third of a second

    return float(norm.ppf(level))


def _round(value: float) -> float:
    return round(value, 6)
