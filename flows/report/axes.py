"""An axis that values are drawn on: its ends, whether it is logarithmic, its ticks, its bins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from flows.report.figures import compact

Floats = npt.NDArray[np.float64]
LOG_SPAN = 30.0  # a metric whose top lies that many times above its middle is unreadable linearly
LOG_FLOOR = 1e-4  # share of the middle at which a logarithmic axis begins at the lowest
TAIL = 0.001  # share of the values at either end that may be drawn at the edge
TICKS_MAX = 5


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to `high` in the metric's own unit; a logarithmic axis has low > 0."""

    low: float
    high: float
    log: bool = False

    def place(self, values: Floats) -> Floats:
        """Return where values lie, 0 at `low` and 1 at `high`; what is beyond sits at the edge.

        >>> Axis(1, 100, log=True).place(np.array([0.0, 10.0, 1e9])).tolist()
        [0.0, 0.5, 1.0]
        """
        held = np.clip(values, self.low, self.high)
        if self.log:
            span = math.log(self.high / self.low)
            return np.asarray(np.log(held / self.low) / span, np.float64)
        return np.asarray((held - self.low) / (self.high - self.low), np.float64)

    def edges(self, bins: int) -> Floats:
        """Return the `bins` + 1 edges of bins that look equally wide on this axis.

        >>> Axis(1, 100, log=True).edges(2).round(6).tolist()
        [1.0, 10.0, 100.0]
        """
        if self.log:
            return np.geomspace(self.low, self.high, bins + 1)
        return np.linspace(self.low, self.high, bins + 1)

    def count(self, values: Floats, bins: int) -> list[int]:
        """Return how many values fall into each bin; what is beyond counts in the last one.

        >>> Axis(0, 4).count(np.array([0.5, 1.0, 3.9, 7.0]), 2)
        [2, 2]
        """
        at = np.minimum((self.place(values) * bins).astype(np.int64), bins - 1)
        return [int(count) for count in np.bincount(at, minlength=bins)]

    def ticks(self) -> list[dict[str, Any]]:
        """Return up to 5 round values within the axis: at (0..1) and text.

        >>> [tick["text"] for tick in Axis(0.0, 0.93).ticks()]
        ['0', '0.25', '0.5', '0.75']
        """
        values = self.rounds()
        places = self.place(np.array(values, np.float64))
        return [
            {"at": round(float(at), 4), "text": compact(float(f"{value:.6g}"))}
            for at, value in zip(places, values, strict=True)
        ]

    def rounds(self) -> list[float]:
        """Return up to 5 round values within the axis, ascending.

        >>> Axis(1.0, 3.2).rounds()
        [1.0, 2.0, 3.0]
        """
        return _decades(self.low, self.high) if self.log else _rounds(self.low, self.high)


def fit_axis(values: Floats, held: float | None = None) -> Axis | None:
    """Return the axis of a metric; None for one that never varies.

    Args:
        values: finite, in any order.
        held: a threshold that should be seen too; left out where it would squeeze the values
            into less than half of the axis.

    Linear, or logarithmic where no value is negative and the top is far above the middle.

    >>> fit_axis(np.array([1.0, 2.0, 3.0])), fit_axis(np.array([5.0, 5.0]))
    (Axis(low=1.0, high=3.0, log=False), None)
    """
    known = np.sort(values)
    if known.size == 0 or known[0] == known[-1]:
        return None
    low, middle, high = (float(known[round(q * (known.size - 1))]) for q in (TAIL, 0.5, 1 - TAIL))
    if low == high:
        low, high = float(known[0]), float(known[-1])
    log = bool(known[0] >= 0 and middle > 0 and high > LOG_SPAN * middle)
    log = log or bool(known[0] > 0 and high > LOG_SPAN**2 * low)
    if log:
        positive = float(known[known > 0][0])
        low = max(low, positive, LOG_FLOOR * (middle or high))
        log = low < high
    axis = Axis(low, high, log)
    return axis if held is None else _hold(axis, held)


def _hold(axis: Axis, held: float) -> Axis:
    if axis.log and held <= 0:
        return axis
    wider = Axis(min(axis.low, held), max(axis.high, held), axis.log)
    ends = wider.place(np.array([axis.low, axis.high]))
    return wider if ends[1] - ends[0] >= 0.5 else axis  # noqa: PLR2004 - half of the axis


def _rounds(low: float, high: float) -> list[float]:
    rough = (high - low) / (TICKS_MAX - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [at * step for at in range(first, last + 1)]


def _decades(low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = max(1, math.ceil((last - first + 1) / TICKS_MAX))
    values = [10.0**power for power in range(first, last + 1, every)]
    return values if len(values) > 1 else _halves(low, high)


def _halves(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten: an axis of less than two decades needs them."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    inside = [value for value in values if low <= value <= high]
    return inside[:: max(1, math.ceil(len(inside) / TICKS_MAX))]
