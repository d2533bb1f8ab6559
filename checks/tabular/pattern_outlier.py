"""Flag texts and numbers of another shape than their column's."""

from __future__ import annotations

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_expected import confirmed, expect, suggest
from checks.metrics.tabular_profile import ColumnProfile, TableProfile
from checks.metrics.tabular_words import is_placeholder, shape_of

_ENOUGH = 50
_WHOLE_MIN = 0.98  # share of the numbers
_SLIP_MAX = 0.005  # share of the texts up to which a shape is no way of writing


@cell_check(
    dimension="incorrect", severity="info", action="review", share_min=0.95, version=2,
    examples=(
        CellExample({"code": [f"AB-{i:03}" for i in range(120)] + ["AB123"]},
                    frozenset({(120, "code")})),
        CellExample({"hours": [*range(20, 60)] * 3 + [64.37]}, frozenset({(120, "hours")})),
        CellExample({"name": ["Fixed wing", "Rotor"] * 60}, frozenset()),
    ),
)  # fmt: skip
def pattern_outlier(profile: TableProfile, share_min: float) -> list[CellRule]:
    """Flag a text of another shape than at least `share_min` (0..1) of its column's texts have.

    A shape takes runs of digits for 9, of capitals for A, of small letters for a. Only columns of
    codes are judged: the shape must hold a digit or a mark. A second shape with more than one in
    200 texts is a way of writing, no slip. Among numbers, a fraction other than a half or a quarter
    is flagged where at least 98 % are whole. What the row's other cells confirm stays.

    Why: in a column of codes, a text of another shape is a slip or belongs elsewhere; a fraction
    among whole numbers was converted from another unit.
    Source: pattern-frequency profiling as in Potter's Wheel (Raman and Hellerstein 2001).
    """
    rules = []
    expected = expect(profile)
    for column in profile.features:
        odd = ~confirmed(expected, column.name)
        if _is_whole(column):
            fraction = (column.number * 4 != (column.number * 4).floor()).fill_null(value=False)
            rules.append(CellRule(column.name, fraction & odd, "a fraction among whole numbers",
                                  column.number, _WHOLE_MIN,
                                  suggest(expected, column.name)))  # fmt: skip
        shape = _common(column, share_min)
        if shape is not None:
            strange = ~shape_of(column.text).is_in(_usual(column)) & (column.text != "")
            flagged = strange.fill_null(value=False) & ~is_placeholder(column.text)
            rules.append(CellRule(column.name, flagged & odd, f"not of the shape {shape}",
                                  threshold=share_min))  # fmt: skip
    return rules


def _is_whole(column: ColumnProfile) -> bool:
    """Whether nearly all of the column's numbers, but not all, have no fraction."""
    count, whole = column.number_count, column.integer_count
    return column.kind == "number" and count >= _ENOUGH and _WHOLE_MIN * count <= whole < count


def _common(column: ColumnProfile, share_min: float) -> str | None:
    """The shape of nearly all texts, if it is that of a code."""
    if not column.is_text or column.kind not in ("category", "text", "identifier"):
        return None
    shape, count = column.patterns[0] if column.patterns else ("", 0)
    total = sum(n for _, n in column.patterns)
    is_code = any(not (c.isalpha() or c == " ") for c in shape)
    return shape if is_code and total >= _ENOUGH and count >= share_min * total else None


def _usual(column: ColumnProfile) -> list[str]:
    """The shapes that too many texts have to be slips."""
    total = sum(n for _, n in column.patterns)
    return [shape for shape, count in column.patterns if count > max(1, _SLIP_MAX * total)]
