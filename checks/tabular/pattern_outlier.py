"""Flag texts of another shape than their column's."""

from __future__ import annotations

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_profile import ColumnProfile, TableProfile
from checks.metrics.tabular_words import is_placeholder, shape_of

_ENOUGH = 50


@cell_check(
    dimension="incorrect", severity="info", action="review", share_min=0.99,
    examples=(
        CellExample({"code": [f"AB-{i:03}" for i in range(120)] + ["AB123"]},
                    frozenset({(120, "code")})),
        CellExample({"name": ["Fixed wing", "Rotor"] * 60}, frozenset()),
    ),
)  # fmt: skip
def pattern_outlier(profile: TableProfile, share_min: float) -> list[CellRule]:
    """Flag a text of another shape than at least `share_min` (0..1) of its column's texts have.

    A shape takes runs of digits for 9, of capitals for A, of small letters for a. Only columns of
    codes are judged: the shape must hold a digit or a mark.

    Why: in a column of codes, a text of another shape is a slip or belongs elsewhere.
    Source: pattern-frequency profiling as in Potter's Wheel (Raman and Hellerstein 2001).
    """
    rules = []
    for column in profile.features:
        shape = _common(column, share_min)
        if shape is not None:
            strange = (shape_of(column.text) != shape) & (column.text != "")
            flagged = strange.fill_null(value=False) & ~is_placeholder(column.text)
            rules.append(CellRule(column.name, flagged, f"not of the shape {shape}",
                                  threshold=share_min))  # fmt: skip
    return rules


def _common(column: ColumnProfile, share_min: float) -> str | None:
    """The shape of nearly all texts, if it is that of a code."""
    if not column.is_text or column.kind not in ("category", "text", "identifier"):
        return None
    shape, count = column.patterns[0] if column.patterns else ("", 0)
    total = sum(n for _, n in column.patterns)
    is_code = any(not (c.isalpha() or c == " ") for c in shape)
    return shape if is_code and total >= _ENOUGH and count >= share_min * total else None
