"""Limits of numbers and times: where they end by nature, and a margin where they do not."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from checks.suites.suggestion_odds import number
from checks.suites.suggestion_rule import Proposal

MARGIN, DETACHED, DETACHED_SHARE, BULK = 0.5, 2.0, 0.005, 0.95
PILE_MIN, PILE_SHARE = 5, 0.5
YEARS = (1800, 2200)
_SPAN_BEFORE, _SPAN_AFTER = 0.5, 1.0  # of the times that were seen, left open on both sides


@dataclass(frozen=True, slots=True)
class Numbers:
    """The finite numbers of a column.

    sampled: ascending, Float64, shape (N,). low, high: of all rows.
    """

    sampled: NDArray[np.float64]
    low: float
    high: float
    whole: bool


def propose_limits(name: str, numbers: Numbers) -> Iterator[Proposal]:
    """Yield the least and the largest value that `name` should have: `ge` and `le`.

    - A whole number that ends the range and has 5 rows of the sample, and half as many as its
      neighbour, is where the range ends by nature: no margin is left. Years never end so.
    - Where hardly anything is negative (0.5 % at most) and 0 is not far, the limit is 0.
    - Else half of the distance from the median is added. A few values far off all others (twice
      as far from the median as the next one, and as 95 % of all) stay outside, as errors.

    The exact minimum and maximum would fail on half of all new batches, and so are no limits.

    Source: ours; Deequ's HasMin and HasMax take the exact ones.

    >>> ages = Numbers(np.sort(np.tile(np.arange(18.0, 66), 50)), 18, 65, whole=True)
    >>> [(one.word, one.value) for one in propose_limits("age", ages)]
    [('ge', 18), ('le', 65)]
    """
    values = numbers.sampled
    if values.size < PILE_MIN or values[0] == values[-1]:
        return
    middle, low = (float(values[int(share * values.size)]) for share in (0.5, DETACHED_SHARE))
    with np.errstate(over="ignore"):  # floats end: then there is no limit to set
        apart = values - middle
    if not np.isfinite(apart).all():
        return
    bulk = float(np.quantile(np.abs(apart), BULK, method="higher"))
    for word, sign in (("ge", -1.0), ("le", 1.0)):
        outward = np.sort(sign * apart)
        end = sign * ((numbers.high if sign > 0 else numbers.low) - middle)
        limit, why, guessed = _find_end(outward, end, bulk, middle)
        told = middle + sign * limit
        if _is_year(numbers) and not guessed:
            limit, guessed = _add_margin(limit), True
            told, why = middle + sign * limit, f"{number(end * sign + middle)} is the farthest"
        if word == "ge" and told <= 0 <= low and (guessed or numbers.low < 0):
            why = f"{number(numbers.low)} is the least"
            yield Proposal((name,), "ge", 0, why, may_never=numbers.whole)
            continue
        if math.isfinite(told):
            value = _round_out(told, abs(limit) * MARGIN, sign) if guessed else told
            yield Proposal((name,), word, _plain(value, numbers.whole), why, guessed=guessed,
                           may_never=False)  # fmt: skip


def _find_end(
    outward: NDArray[np.float64], end: float, bulk: float, middle: float
) -> tuple[float, str, bool]:
    """How far from the median the limit stands, what speaks for it, whether it is guessed."""
    kept = _detach(outward, bulk)
    last = float(outward[kept - 1])
    attached = kept == outward.size and end <= DETACHED * max(last, bulk)
    last = max(last, end) if attached else last
    rows = int(np.count_nonzero(outward == last))
    inner = outward[outward < last]
    beside = int(np.count_nonzero(outward == inner[-1])) if inner.size else 0
    round_number = (last + middle).is_integer()
    if round_number and rows >= max(PILE_MIN, PILE_SHARE * beside) and attached:
        return last, "many rows stand right at it", False
    lost = "" if attached else ", but for a few far beyond"
    return _add_margin(last), f"half as far again as the farthest{lost}", True


def _add_margin(distance: float) -> float:
    return distance + MARGIN * abs(distance)


def _detach(outward: NDArray[np.float64], bulk: float) -> int:
    """How many of the ascending distances remain without the few that stand far off."""
    n = outward.size
    for place in range(n - 1, max(n - 1 - int(DETACHED_SHARE * n), 0), -1):
        if outward[place] / DETACHED > max(outward[place - 1], bulk):
            return place
    return n


def _is_year(numbers: Numbers) -> bool:
    return numbers.whole and numbers.low >= YEARS[0] and numbers.high <= YEARS[1]


def _round_out(value: float, margin: float, sign: float) -> float:
    """A rounder number outside, by less than the margin's leading digit."""
    if margin <= 0 or not math.isfinite(margin):
        return value
    step = 10.0 ** math.floor(math.log10(margin))
    rounded = sign * math.ceil(sign * value / step) * step if step else value
    return float(f"{rounded:.12g}") if math.isfinite(rounded) else value


def _plain(value: float, whole: bool) -> int | float:
    return int(value) if whole or (value == int(value) and abs(value) < 1e15) else value  # noqa: PLR2004


def propose_period(name: str, dtype: pl.DataType, low: float, high: float) -> Iterator[Proposal]:
    """Yield the earliest and the latest time that `name` should have, in whole years.

    Half of the period that was seen is left open before it and all of it once more after it:
    new days go on, a wrong century does not pass.

    Args:
        name: the column.
        dtype: Date, or Datetime without a time zone; another gives nothing.
        low: the earliest time, seconds since 1970.
        high: the latest.

    >>> day = 86_400
    >>> [str(one.value) for one in propose_period("day", pl.Date(), 0, 730 * day)]
    ['1969-01-01', '1975-01-01']
    """
    first, last = (_moment(second) for second in (low, high))
    plain = dtype == pl.Date or (dtype == pl.Datetime and not getattr(dtype, "time_zone", None))
    if not plain or first is None or last is None:
        return
    years = (high - low) / (365.25 * 86_400)
    ends = {"ge": first.year - math.ceil(_SPAN_BEFORE * years),
            "le": last.year + 1 + math.ceil(_SPAN_AFTER * years)}  # fmt: skip
    why = f"{first:%Y-%m-%d} to {last:%Y-%m-%d} were seen"
    for word, year in ends.items():
        if dt.MINYEAR <= year <= dt.MAXYEAR:
            new_year = dt.datetime(year, 1, 1)  # noqa: DTZ001 - as the column is
            value = new_year.date() if dtype == pl.Date else new_year
            yield Proposal((name,), word, value, why, guessed=True, may_never=False)


def _moment(second: float) -> dt.datetime | None:
    try:
        return dt.datetime(1970, 1, 1) + dt.timedelta(seconds=second)  # noqa: DTZ001 - as stored
    except OverflowError:
        return None
