"""Flag texts that hold nothing."""

from __future__ import annotations

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_expected import expect, suggest
from checks.metrics.tabular_profile import TableProfile


@cell_check(
    dimension="missing", severity="info", action="review",
    examples=(
        CellExample({"town": ["Bonn", "", "  ", "Ulm"]}, frozenset({(1, "town"), (2, "town")})),
        CellExample({"town": ["Bonn", None, " Ulm"]}, frozenset()),
    ),
)  # fmt: skip
def blank_text(profile: TableProfile) -> list[CellRule]:
    """Flag a text that is empty or all white space, which is not the same as null.

    Why: an empty text becomes a category of its own, beside null.
    Source: ours.
    """
    expected = expect(profile)
    return [
        CellRule(
            column.name, (column.text == "").fill_null(value=False), "a text without a character",
            suggestion=suggest(expected, column.name),
        )
        for column in profile.features
        if column.is_text and column.empty_count + column.blank_count
    ]  # fmt: skip
