"""Flag rows in which two cells stand in each other's column."""

from __future__ import annotations

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_profile import TableProfile

_RIGHT = {"town": ["Bonn", "Ulm"] * 20, "state": ["NRW", "BW"] * 20}
_WRONG = {"town": [*_RIGHT["town"], "NRW"], "state": [*_RIGHT["state"], "Bonn"]}


@cell_check(
    dimension="incorrect", severity="warning", action="repair", ratio_min=10.0,
    examples=(
        CellExample(_WRONG, frozenset({(40, "town"), (40, "state")})),
        CellExample(_RIGHT, frozenset()),
    ),
)  # fmt: skip
def swapped_fields(profile: TableProfile, ratio_min: float) -> list[CellRule]:
    """Flag two cells of a row that are each `ratio_min` times as frequent in the other's column.

    Why: exchanged cells are both wrong, and no check of one column alone can tell.
    Source: ours; the odds of the two readings under the columns' own frequencies.
    """
    rules = []
    for exchange in profile.exchanges:
        first, second = (profile.column(n).text for n in (exchange.first, exchange.second))
        of_first = [v for v, here, there in exchange.shared if here >= ratio_min * there]
        of_second = [v for v, here, there in exchange.shared if there >= ratio_min * here]
        if not of_first or not of_second:
            continue
        flagged = (first.is_in(of_second) & second.is_in(of_first)).fill_null(value=False)
        told = f"{exchange.first} and {exchange.second} hold each other's values"
        for name, other in ((exchange.first, second), (exchange.second, first)):
            rules.append(CellRule(name, flagged, told, threshold=ratio_min, suggestion=other))
    return rules
