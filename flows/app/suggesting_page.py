"""What a person, or a program, is told of a suggested contract."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from checks.suites.suggestion_odds import percent
from checks.suites.suggestion_rule import STRENGTHS, Lookup, Rule
from checks.suites.suggestion_words import make_plain, tell_value
from flows.app.suggesting import Suggested

RULES_SHOWN, CHANGES_SHOWN = 15, 30


def show_suggested(told: Suggested, *, as_json: bool) -> None:
    """Print the rules, the changes and what to do next on stderr; JSON on stdout if asked for."""
    if as_json:
        sys.stdout.write(json.dumps(as_data(told), indent=1, default=str) + "\n")
    console = Console(stderr=True)
    if told.suggestion.rules:
        console.print(_table_rules(told))
    if told.changes:
        console.print(_table_changes(told))
    for line in closing_lines(told):
        console.print(make_plain(line), markup=False, highlight=False, soft_wrap=True)


def as_data(told: Suggested) -> dict[str, Any]:
    """Return the suggestion as plain data, the shape that --json prints."""
    suggestion = told.suggestion
    return {
        "source": told.config.source.path,
        "rows": suggestion.rows,
        "batch_rows": suggestion.batch_rows,
        "file": str(told.file),
        "written": told.written,
        "rules": [_plain(rule) for rule in suggestion.rules],
        "left_out": list(suggestion.left_out),
        "in_use": told.in_use,
        "changes": [asdict(one) for one in told.changes],
    }


def _plain(rule: Rule) -> dict[str, Any]:
    proposal = rule.proposal
    return {
        "columns": proposal.columns, "rule": proposal.word, "value": _value(rule),
        "strength": rule.strength, "severity": rule.severity, "failures": rule.failures,
        "share_max": rule.share_max, "tolerance": rule.tolerance,
        "false_alarm": rule.false_alarm, "why": proposal.why,
    }  # fmt: skip


def _value(rule: Rule) -> Any:
    value = rule.proposal.value
    if isinstance(value, Lookup):
        return {"table": value.name, "rows": value.frame.height}
    return str(value) if isinstance(value, pl.DataType) else value


def _table_rules(told: Suggested) -> Table:
    rules = sorted(told.suggestion.rules, key=lambda one: (
        -one.failures, STRENGTHS.index(one.strength)))  # fmt: skip
    table = Table("strength", "column", "rule", "value", "rows that break it", "false alarms",
                  title="Rules, first those that rows break, then the strongest")  # fmt: skip
    for rule in rules[:RULES_SHOWN]:
        columns = ", ".join(rule.proposal.columns)
        share = f" ({percent(rule.failures / rule.rows)})" if rule.failures else ""
        row = (rule.strength, columns, rule.proposal.word, tell_value(rule),
               f"{rule.failures:,}{share}", percent(rule.false_alarm))  # fmt: skip
        table.add_row(*map(_escape, row))
    return table


def _table_changes(told: Suggested) -> Table:
    table = Table("", "column", "rule", "in use", "suggested", "why",
                  title=make_plain(f"Against {told.in_use}"))  # fmt: skip
    for one in told.changes[:CHANGES_SHOWN]:
        row = (one.kind, ", ".join(one.columns), one.rule, one.in_use or "", one.suggested or "",
               one.why)  # fmt: skip
        table.add_row(*map(_escape, row))
    return table


def _escape(text: str) -> str:
    """`text` without line breaks, and without what rich would take for markup."""
    return make_plain(text).replace("[", r"\[")


def closing_lines(told: Suggested) -> list[str]:
    """Return the last lines that a person reads: how many rules, the differences, what is next."""
    suggestion, file = told.suggestion, told.file
    strengths = Counter(rule.strength for rule in suggestion.rules)
    counts = ", ".join(f"{strengths[one]} {one}" for one in STRENGTHS if strengths[one])
    alarms = sum(rule.false_alarm for rule in suggestion.rules)
    lines = [f"Not suggested: {one}." for one in suggestion.left_out]
    lines.append(
        f"{len(suggestion.rules)} rules ({counts or 'none'}) from {suggestion.rows:,} rows. "
        f"A clean batch of {suggestion.batch_rows:,} rows breaks {alarms:.2g} of them by chance."
    )
    if told.in_use is not None:
        lines.append(_tell_changes(told))
    if not told.written:
        advice = "--out FILE writes the suggestion elsewhere, --force replaces it."
        return [*lines, f"{file}: is there already and was left as it is. {advice}"]
    where = f"[contract] path = {_quote(_place(told))}"
    return [*lines, f"{file}: written. Review it, then put it in use: {where}"]


def _tell_changes(told: Suggested) -> str:
    kinds = Counter(one.kind for one in told.changes)
    counts = ", ".join(f"{kinds[one]} {one}" for one in ("new", "gone", "changed") if kinds[one])
    more = len(told.changes) - CHANGES_SHOWN
    rest = f" ({more} more in --json)" if more > 0 else ""
    return f"Against {told.in_use}: {counts or 'no difference'}{rest}."


def _place(told: Suggested) -> str:
    """The contract's path as the configuration would name it."""
    base = told.config.base.resolve()
    file = told.file.resolve()
    return file.relative_to(base).as_posix() if file.is_relative_to(base) else str(file)


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
