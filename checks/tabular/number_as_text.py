"""Flag texts among numbers."""

from __future__ import annotations

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_expected import expect, suggest
from checks.metrics.tabular_profile import TableProfile
from checks.metrics.tabular_words import is_placeholder


@cell_check(
    dimension="incorrect", severity="warning", action="review",
    examples=(
        CellExample({"zip": ["53111", "5x111"] + ["89073", "53113"] * 10}, frozenset({(1, "zip")})),
        CellExample({"zip": ["53111", "N/A", "53113"] * 4}, frozenset()),
    ),
)  # fmt: skip
def number_as_text(profile: TableProfile) -> list[CellRule]:
    """Flag a text that is no number in a column of which at least 90 % are numbers.

    Placeholders and numbers with a unit have checks of their own.

    Why: one such cell turns the whole column into text, or becomes null when it is cast.
    Source: ours.
    """
    expected = expect(profile)
    return [
        CellRule(
            column.name,
            column.magnitude.is_null() & (column.text != "").fill_null(value=False)
            & ~is_placeholder(column.text, strict=True),
            "no number, in a column of numbers", suggestion=suggest(expected, column.name),
        )
        for column in profile.features
        if column.is_text and column.kind == "number"
    ]  # fmt: skip
