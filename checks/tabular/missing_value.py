"""Flag empty cells of columns that are filled almost everywhere."""

from __future__ import annotations

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_expected import expect, suggest
from checks.metrics.tabular_profile import TableProfile


@cell_check(
    dimension="missing", severity="info", action="review", filled_min=0.9,
    examples=(
        CellExample({"town": ["Bonn", "Ulm"] * 10 + [None]}, frozenset({(20, "town")})),
        CellExample({"note": ["late", None, None]}, frozenset()),
    ),
)  # fmt: skip
def missing_value(profile: TableProfile, filled_min: float) -> list[CellRule]:
    """Flag a null cell of a column in which at least `filled_min` (0..1) of the rows have a value.

    Why: a gap in a full column is an accident, a gap in a sparse one is its nature.
    Source: ours; completeness as Deequ's `RetainCompletenessRule` has it, per column.
    """
    expected = expect(profile)
    return [
        CellRule(
            column.name, column.raw.is_null(),
            f"no value, though {column.filled_frac:.1%} have one",
            suggestion=suggest(expected, column.name),
        )
        for column in profile.features
        if column.null_count > 0 and column.filled_frac >= filled_min
    ]  # fmt: skip
