"""Flag NaN and infinity."""

from __future__ import annotations

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_profile import TableProfile


@cell_check(
    dimension="incorrect", severity="warning", action="review",
    examples=(
        CellExample({"mass": [1.5, float("nan"), float("-inf"), 2.0]},
                    frozenset({(1, "mass"), (2, "mass")})),
        CellExample({"mass": [1.5, None, 2.0]}, frozenset()),
    ),
)  # fmt: skip
def nonfinite_value(profile: TableProfile) -> list[CellRule]:
    """Flag a number that is NaN or infinite. In text columns such words are placeholders.

    Why: one of them makes a mean, a loss and then every weight NaN.
    Source: IEEE 754; ours.
    """
    return [
        CellRule(
            column.name, (column.raw.is_nan() | column.raw.is_infinite()).fill_null(value=False),
            "NaN or infinite",
        )
        for column in profile.features
        if column.nan_count + column.inf_count
    ]  # fmt: skip
