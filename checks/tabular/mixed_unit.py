"""Flag numbers in another unit than their column's."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import polars as pl

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_expected import Expectation, expect
from checks.metrics.tabular_profile import ColumnProfile, TableProfile
from checks.metrics.tabular_words import FACTORS, NUMBER_WITH_UNIT, UNITS

_PREVAILS = 0.8  # share of a column from which one spelling is the right one
_RECURS = 0.01  # share of a column from which an unknown suffix is a unit
_TOLERANCE_TOP = 0.05  # beyond, the factors would run into each other
_ROUTES: dict[str, Sequence[object]] = {
    "origin": ["EWR", "JFK"] * 30, "dest": ["BOS", "BOS", "LAX", "LAX"] * 15,
    "miles": [200.0, 187.0, 2454.0, 2475.0] * 14 + [321.9, 187.0, 2454.0, 2475.0],
}  # fmt: skip


@cell_check(
    dimension="incorrect", severity="warning", action="repair", tolerance=0.015,
    examples=(
        CellExample({"size": ["12 oz", "16 oz", "12 ounce", "12"]},
                    frozenset({(0, "size"), (1, "size"), (2, "size")})),
        CellExample({"size": ["12 oz", "16 oz", "24 oz"] * 3}, frozenset()),
        CellExample(_ROUTES, frozenset({(56, "miles")})),
    ),
)  # fmt: skip
def mixed_unit(profile: TableProfile, tolerance: float) -> list[CellRule]:
    """Flag a number written with a unit where spellings differ, or off by a factor between units.

    The factor is that to the value which the row's other cells fix (its route, its product): miles
    and kilometres, pounds and kilograms, 10, 100, 1000 times and so on, give or take
    `tolerance` (0..0.05).

    Why: a cell in another unit is an outlier that no range check sees.
    Source: NIST SP 811 for the factors; the idea from Raha (Mahdavi et al. 2019).
    """
    expected = expect(profile)
    rules = []
    for column in profile.features:
        if column.kind != "number":
            continue
        if column.is_text and len(column.units) + (column.number_count > 0) > 1:
            rules.append(_written(column))
        if column.name in expected:
            rules.append(_off_by_factor(column, expected[column.name], tolerance))
    return rules


def _written(column: ColumnProfile) -> CellRule:
    """Cells with another unit than most, or all with a unit if no spelling prevails."""
    bare = column.text.str.extract(NUMBER_WITH_UNIT, 1)
    unit = column.text.str.extract(NUMBER_WITH_UNIT, 2)
    spellings = {"": column.number_count} | dict(column.units)
    usual = max(spellings, key=lambda name: spellings[name])
    if spellings[usual] < _PREVAILS * sum(spellings.values()):
        usual = ""
    known = list(spellings)
    # a suffix seen once or twice may be a spoilt digit: no number is proposed for it
    least = _RECURS * sum(spellings.values())
    into = {
        name: _conversion(name, usual or column.units[0][0])
        if name.lower().strip(".") in (*UNITS, "%", "") or spellings[name] >= least
        else None
        for name in known
    }
    factor = unit.replace_strict(known, [into[n] for n in known], default=None,
                                 return_dtype=pl.Float64)  # fmt: skip
    value = bare.cast(pl.Float64, strict=False)
    if usual == "":
        factor = pl.when(unit == "%").then(_share(column, value)).otherwise(factor)
    converted = (value * factor).round_sig_figs(6).cast(pl.String).str.strip_suffix(".0")
    written = pl.when(factor == 1.0).then(bare).otherwise(converted)
    found = column.number.is_null() & unit.is_not_null()
    if usual:
        found = (unit != usual) | column.number.is_not_null()
        written = written + ("" if usual == "%" else " ") + pl.lit(usual)
    told = ", ".join(name or "none" for name in known[:6])
    return CellRule(column.name, found.fill_null(value=False),
                    f"a number whose unit is not that of all others ({told})",
                    column.magnitude, suggestion=written)  # fmt: skip


def _conversion(unit: str, into: str) -> float | None:
    """What a number in `unit` is to be multiplied by; None if that cannot be known."""
    ours, theirs = (name.lower().strip(".") for name in (unit, into))
    if ours in UNITS and theirs in UNITS:
        same = UNITS[ours][0] == UNITS[theirs][0]
        return UNITS[ours][1] / UNITS[theirs][1] if same else None
    return 1.0


def _share(column: ColumnProfile, value: pl.Expr) -> pl.Expr:
    """1 / 100 where only the share, not the percentage, lies among the plain numbers."""
    low, high = column.quantiles.get("p01", 0.0), column.quantiles.get("p99", 0.0)
    divided = (value / 100).is_between(low, high) & ~value.is_between(low, high)
    return pl.when(divided).then(0.01).otherwise(1.0)


def _off_by_factor(column: ColumnProfile, known: Expectation, tolerance: float) -> CellRule:
    """Cells that another unit's factor parts from what the row's other cells fix."""
    ratio = column.number / known.value.cast(pl.Float64, strict=False)
    width = min(tolerance, _TOLERANCE_TOP)
    edges = sorted(log(f) + side * width for f in FACTORS for side in (-1, 1))
    size = pl.when(ratio > 0).then(ratio.log().abs()).fill_null(0.0)
    hit = pl.lit(pl.Series(edges)).search_sorted(size, "left") % 2 == 1
    return CellRule(column.name, (hit & known.outvoted).fill_null(value=False),
                    "a unit's factor away from what the row's other cells fix",
                    ratio, tolerance, known.value)  # fmt: skip
