"""Flag texts that were read in the wrong encoding."""

from __future__ import annotations

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_profile import TableProfile
from checks.metrics.tabular_words import MOJIBAKE, repair_mojibake


@cell_check(
    dimension="incorrect", severity="warning", action="repair",
    examples=(
        CellExample({"dish": ["cafÃ©", "café", "tea"]}, frozenset({(0, "dish")})),
        CellExample({"dish": ["São Tomé", "Ânimo", "crème"]}, frozenset()),
    ),
)  # fmt: skip
def mojibake(profile: TableProfile) -> list[CellRule]:
    """Flag a text with the marks of UTF-8 read as Latin-1 or Windows-1252; suggest what it was.

    Why: `cafÃ©` and `café` are two categories, and no tokenizer knows the first.
    Source: the byte pairs that encoding U+00A0..U+017F and common marks gives; idea from ftfy.
    """
    rules = []
    for column in profile.features:
        if not column.mojibake_count:
            continue
        fixed = repair_mojibake(column.text)
        flagged = column.text.str.contains(MOJIBAKE).fill_null(value=False)
        rules.append(
            CellRule(column.name, flagged, "UTF-8 that was read in another encoding",
                     suggestion=fixed)
        )  # fmt: skip
    return rules
