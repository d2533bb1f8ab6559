"""Flag rows without a label."""

from __future__ import annotations

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_expected import any_of
from checks.metrics.tabular_profile import TableProfile
from checks.metrics.tabular_words import is_placeholder


@cell_check(
    dimension="missing", severity="error", action="drop",
    examples=(
        CellExample({"kind": ["a", "?", None, "b"]}, frozenset({(1, "kind"), (2, "kind")}), "kind"),
        CellExample({"kind": ["a", "b", "b"]}, frozenset(), "kind"),
    ),
)  # fmt: skip
def missing_label(profile: TableProfile) -> list[CellRule]:
    """Flag a row whose label is null, NaN, blank or a placeholder word such as `N/A`.

    Why: a row without a label cannot be learnt from, and a placeholder would become a class.
    Source: ours.
    """
    if profile.label is None:
        return []
    label = profile.column(profile.label)
    gone = [label.raw.is_null()]
    if label.is_text:
        gone += [(label.text == "").fill_null(value=False), is_placeholder(label.text)]
    if label.dtype.startswith("Float"):
        gone.append(label.raw.is_nan().fill_null(value=False))
    return [CellRule(label.name, any_of(gone), "the row has no label")]
