"""Small statistics and the plain form of numbers: what every section of the report shares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

SIGNIFICANT_DIGITS = 6
Z_95 = 1.959963984540054


def plain(value: Any) -> Any:
    """Return `value` as JSON-able data: floats to 6 significant digits, NaN and infinity as None.

    >>> plain({"a": (1 / 3, float("nan")), "b": True})
    {'a': [0.333333, None], 'b': True}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, str | bool | int) or value is None:
        return value
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    if isinstance(value, np.integer):
        return int(value)
    return _round(float(value)) if isinstance(value, float | np.floating) else str(value)


def _round(value: float) -> float | None:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if math.isfinite(value) else None


def wilson(hits: int, total: int) -> tuple[float | None, float | None, float | None]:
    """Return the share and its 95 % Wilson interval, all in 0..1; None for a total of 0.

    Source: Wilson 1927; holds near 0 and 1, where the normal interval does not.

    >>> [round(x, 3) for x in wilson(9, 10)]
    [0.9, 0.596, 0.982]
    """
    if total <= 0:
        return None, None, None
    share, z2 = hits / total, Z_95**2
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z_95 * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2)) / (1 + z2 / total)
    return share, max(0.0, middle - half), min(1.0, middle + half)


def t_quantile(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's t, for a two-sided 95 % interval.

    >>> round(t_quantile(7), 3)
    2.365
    """
    from scipy import stats  # noqa: PLC0415 - two thirds of a second

    return float(stats.t.ppf(0.975, degrees))


def number(value: Any) -> float | None:
    """Return a finite float, or None for whatever is not one.

    >>> number("n/a"), number(2), number(float("inf"))
    (None, 2.0, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def signed(value: float | None, unit: str = "", digits: int = 2) -> str:
    """Return a number with its sign and a true minus, or a dash.

    >>> signed(-1.234, "pp"), signed(0.5), signed(None)
    ('\u22121.23 pp', '+0.50', '\u2013')
    """
    if value is None:
        return "\u2013"
    text = f"{abs(value):.{digits}f}"
    sign = ("\u2212" if value < 0 else "+") if float(text) else ""
    return f"{sign}{text} {unit}".strip()


def share(value: float | None) -> str:
    """Return a fraction as a percentage with as many digits as it needs.

    >>> share(0.5), share(0.0123), share(0.00004), share(0.0), share(None)
    ('50 %', '1.2 %', '< 0.01 %', '0 %', '\u2013')
    """
    if value is None:
        return "\u2013"
    percent = 100 * value
    if percent == 0 or percent >= 9.95:  # noqa: PLR2004 - two digits are enough from ten on
        return f"{percent:.0f} %"
    return "< 0.01 %" if percent < 0.01 else f"{percent:.2g} %"  # noqa: PLR2004


def compact(value: Any) -> str:
    r"""Return a number for a table: thousands apart, four significant digits.

    >>> compact(336776), compact(0.123456), compact(1.5e-7), compact(-1e308), compact(None)
    ('336\u202f776', '0.1235', '1.5e-07', '-1e+308', '\u2013')
    """
    if value is None:
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    whole = isinstance(value, float) and abs(value) < 1e15 and value == int(value)  # noqa: PLR2004
    if whole or isinstance(value, int):
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def plural(count: int, noun: str) -> str:
    """Return how many there are of what: an s is added unless it is one.

    >>> plural(1, "column"), plural(1200, "row")
    ('1 column', '1\u202f200 rows')
    """
    return f"{compact(count)} {noun}{'' if count == 1 else 's'}"
