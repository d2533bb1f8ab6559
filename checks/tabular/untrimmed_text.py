"""Flag texts with white space around them."""

from __future__ import annotations

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_profile import TableProfile


@cell_check(
    dimension="low_quality", severity="info", action="repair", share_max=0.5,
    examples=(
        CellExample({"town": ["Bonn", "Ulm ", "Ulm"]}, frozenset({(1, "town")})),
        CellExample({"town": [" Bonn", " Ulm", " Ulm"]}, frozenset()),
    ),
)  # fmt: skip
def untrimmed_text(profile: TableProfile, share_max: float) -> list[CellRule]:
    """Flag a text with white space at an end, unless more than `share_max` of the column has it.

    Why: `Ulm ` and `Ulm` are two categories to a model. Where all values have a blank in front
    it is how the file was written, and the same for every row.
    Source: ours.
    """
    return [
        CellRule(
            column.name,
            ((column.raw != column.text) & (column.text != "")).fill_null(value=False),
            "white space at an end", suggestion=column.text,
        )
        for column in profile.features
        if column.is_text and 0 < column.untrimmed_count <= share_max * column.row_count
    ]  # fmt: skip
