"""What checks measured on the way, as a line of words and tables: checks.json, made readable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flows.report.label_noise import KEYS as NOISE

Facts = Mapping[str, Any]
ROWS_MAX = 60


def describe_facts(check_id: str, facts: Facts) -> dict[str, Any]:
    """Return the facts of a check: line {name: value}, tables [{caption, rows}].

    >>> told = describe_facts("label_spelling", {"rename": {"a.": "a"}})
    >>> told["tables"][0]["rows"]
    [{'spelt': 'a.', 'usual spelling': 'a'}]
    """
    known = TABLES.get(check_id, {})
    tables = [
        {"caption": caption, "rows": rows[:ROWS_MAX]}
        for key, (caption, lay) in {**known, **SHARED}.items()
        if facts.get(key) and (rows := lay(facts[key]))
    ]
    told = {*known, *SHARED, *ELSEWHERE.get(check_id, ())}
    line = {
        key: value
        for key, value in facts.items()
        if key not in told and _is_plain(value) and value not in ("", [], None)
    }
    return {"line": line, "tables": tables}


def _is_plain(value: Any) -> bool:
    """Say whether a fact fits into a line: no mapping, no list of lists."""
    if isinstance(value, list):
        return all(not isinstance(item, list | Mapping) for item in value)
    return not isinstance(value, Mapping)


def _lay_gains(gains: Facts) -> list[dict[str, Any]]:
    return [{"column": name, "share": gain} for name, gain in gains.items()]


def _lay_later(columns: Facts) -> list[dict[str, Any]]:
    return [
        {"column": name, "split": split, "share": share}
        for name, splits in columns.items()
        for split, share in splits.items()
    ]


def _lay_rename(rename: Facts) -> list[dict[str, Any]]:
    return [{"spelt": old, "usual spelling": new} for old, new in rename.items()]


def _lay_groups(groups: Facts) -> list[dict[str, Any]]:
    return [{"number": name, "is judged within": by} for name, by in groups.items()]


def _lay_records(records: Facts) -> list[dict[str, Any]]:
    return list(records.values())


def _lay_sets(sets: list[Any]) -> list[dict[str, Any]]:
    return [{"columns that hang together": ", ".join(map(str, one))} for one in sets
            if isinstance(one, list)]  # fmt: skip


def _lay_orders(orders: list[Any]) -> list[dict[str, Any]]:
    return [{"comes first": one[0], "comes later": one[1]} for one in orders]


def _lay_usual(usual: Facts) -> list[dict[str, Any]]:
    return [{"the pair differs in": where, "pairs": count} for where, count in usual.items()]


Layout = tuple[str, Callable[[Any], list[dict[str, Any]]]]
RULES = "How often this rule of the contract is broken, by column, and the share that it tolerates"
PROPERTIES = "Every property with the class that it tells best from the others"
SHARED: Mapping[str, Layout] = {
    "rules": (RULES, _lay_records), "properties": (PROPERTIES, _lay_records),
}  # fmt: skip
ELSEWHERE = {  # told by a section of its own
    "unlikely_label": NOISE, "harmful_sample": frozenset({"hurt_most"}),
    "underperforming_group": frozenset({"worst"}), "missing_class": frozenset({"missing"}),
}  # fmt: skip
TABLES: Mapping[str, Mapping[str, Layout]] = {
    "column_label_leak": {
        "gains": ("How much of what the commonest label leaves open each column tells alone",
                  _lay_gains)},
    "future_in_train": {
        "later_frac": ("Share of the train rows that are later than the beginning of a split",
                       _lay_later)},
    "label_spelling": {"rename": ("Labels that are spelt in two ways", _lay_rename)},
    "group_outlier": {"groups": ("Numbers that are judged within groups", _lay_groups)},
    "near_duplicate_row": {
        "groups": ("Columns that hang together count as one piece of evidence", _lay_sets),
        "usual": ("Pairs that were passed over, as so many differ in just this", _lay_usual)},
    "inconsistent_dates": {"orders": ("Dates that come one after the other", _lay_orders)},
}  # fmt: skip
