"""All that the report tells of a table alone: its columns, its gaps, ties, wrong cells, repairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checks.core.words import SPLITS
from flows.report.cells import read_cells
from flows.report.column_cards import describe_columns
from flows.report.column_findings import choose_cells, flag_columns
from flows.report.figures import compact, plural, share
from flows.report.folder import RunData
from flows.report.related import describe_gaps, describe_ties
from flows.report.repairs import by_column, describe_repairs
from flows.report.row_groups import compare_rows
from flows.report.wrong_cells import describe_wrong_cells

CARDS_MAX = 60
ROWS_MAX = 400  # columns beyond the cards that have a line each on the page


def describe_table(
    read: RunData, source: Any, drift: Mapping[str, Any], examples: list[dict[str, Any]],
    groups: list[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """Return the sections of a report that only a table has.

    Args:
        read: the run folder; its profile holds columns.
        source: the table, for the texts of cells; None shows none.
        drift: as `describe_drift` returns it.
        examples: of all findings; the table is read once, for them too.
        groups: of duplicate rows, which are set side by side.

    Returns:
        columns {kind, rows, more}, gaps, ties, cells (wrong ones), repairs, overview (facts for
        the head of the page).
    """
    profile = read.profile or {}
    repairs = describe_repairs(read.repairs, read.clean)
    cards = describe_columns(
        profile, flags=flag_columns(read.findings), drift=drift, rules=_list_rules(read),
        repaired=by_column(repairs), facts=(read.checks or {}).get("facts") or {},
    )  # fmt: skip
    first = [card["name"] for card in cards[:CARDS_MAX]]
    flagged = choose_cells(read.findings, read.samples, first)
    for card in cards[:CARDS_MAX]:
        card["examples"] = flagged.get(card["name"], [])
    cells = describe_wrong_cells(read.cells, marked=_is_marked(read))
    wrong = cells["examples"] if cells else []
    told = [*examples, *(one for some in flagged.values() for one in some), *wrong]
    read_cells(source, told, [member for group in groups for member in group["members"]])
    for group in groups:
        compare_rows(group)
    return {
        "columns": {"kind": "columns", "rows": cards, "more": 0},
        "gaps": describe_gaps(profile), "ties": describe_ties(profile),
        "cells": cells, "repairs": repairs,
        "overview": _list_overview(_count_splits(read), profile, cards, cells, repairs),
    }  # fmt: skip


def describe_no_table() -> dict[str, Any]:
    """Return the same sections for what is no table: none."""
    return {"gaps": None, "ties": None, "cells": None, "repairs": [], "overview": []}


def _list_rules(read: RunData) -> list[dict[str, Any]]:
    """Return the rules that were suggested, one record for each column that a rule is on."""
    told = (read.suggestions or {}).get("rules") or []
    return [rule for rule in told if isinstance(rule, dict) and rule.get("rule")]


def _is_marked(read: RunData) -> bool:
    return bool(((read.config or {}).get("checks") or {}).get("labels"))


def _list_overview(
    splits: Mapping[str, int], profile: Mapping[str, Any], cards: list[dict[str, Any]],
    cells: dict[str, Any] | None, repairs: list[dict[str, Any]],
) -> list[dict[str, str]]:  # fmt: skip
    """Return the figures to read first: name, value, note."""
    rows = int(profile.get("row_count") or 0)
    kinds: dict[str, int] = {}
    for card in cards:
        kinds[card["kind"]] = kinds.get(card["kind"], 0) + 1
    common = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    told = [
        ("Rows", compact(rows), _tell_splits(splits)),
        ("Columns", compact(len(cards)), ", ".join(f"{n} {kind}" for kind, n in common)),
    ]
    missing, gappy = sum(c["missing"] for c in cards), sum(c["missing"] > 0 for c in cards)
    size = rows * len(cards)
    note = f"{share(missing / size)} of all, in {plural(gappy, 'column')}" if size else "no cells"
    told.append(("Cells without a value", compact(missing), note if missing else "none"))
    if cells:
        note = f"in {plural(cells['rows'], 'row')}" if cells["wrong"] else "none found"
        told.append(("Cells called wrong", compact(cells["wrong"]), note))
    changed = sum(one["cells"] for one in repairs)
    if changed:
        told.append(
            ("Cells repaired", compact(changed), f"in {plural(len(by_column(repairs)), 'column')}")
        )
    return [dict(zip(("name", "value", "note"), fact, strict=True)) for fact in told]


def _count_splits(read: RunData) -> dict[str, int]:
    """Return how many rows each split has, as far as that is known."""
    if read.samples is None:
        return dict((read.profile or {}).get("splits") or {})
    return dict(read.samples.group_by("split").len().sort("split").iter_rows())


def _tell_splits(splits: Mapping[str, int]) -> str:
    told = [f"{compact(splits[name])} {name}" for name in SPLITS if splits.get(name)]
    return ", ".join(told) or "not divided into splits yet"
