"""The report as a short markdown page, for Prefect's artifacts and for terminals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flows.report.figures import compact, share
from flows.report.words import headline, shown

CHECKS_MAX = 15
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~:])")


def quote(value: object, limit: int = 400) -> str:
    r"""Return text that markdown and HTML leave as it is.

    >>> quote("<b>[x](javascript:y)|")
    '&lt;b&gt;\\[x\\]\\(javascript\\:y\\)\\|'
    """
    text = shown(value, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", text)


def render_markdown(report: Mapping[str, Any]) -> str:
    """Return verdict, its facts, the ledger line and the worst findings as markdown."""
    lines = [f"# {quote(report['title'])}", "", f"**{quote(headline(report))}**", ""]
    if report["verdict"]["more"]:
        lines += [quote(report["verdict"]["more"]), ""]
    facts = report["verdict"]["facts"]
    for fact in facts:
        value = f"{fact['value']} {fact['interval']}".strip()
        lines.append(f"- {quote(fact['name'])}: {quote(value)} ({quote(fact['note'])})")
    lines += _ledger(report["ledger"]) + _gate(report["gate"]) + _findings(report["findings"])
    lines += _labels(report)
    lines += [f"- Not there yet: {quote(gap['says'])}" for gap in report["missing"]]
    return "\n".join([*lines, "", "All of it: `report.html`, `report.json`.", ""])


def _ledger(ledger: Mapping[str, Any] | None) -> list[str]:
    if ledger is None:
        return []
    parts = [f"{compact(ledger[k])} {k}" for k in ("kept", "dropped", "repaired", "quarantined")]
    holds = "" if ledger["holds"] else " **(does not add up)**"
    return ["", f"{compact(ledger['inputs'])} samples = {' + '.join(parts)}{holds}"]


def _gate(gate: Mapping[str, Any] | None) -> list[str]:
    if gate is None:
        return []
    failed = f"failed: {gate['failed']} of {len(gate['results'])} rules broken"
    if gate["engine_errors"]:
        failed += f", {len(gate['engine_errors'])} could not be judged"
    return ["", f"Quality gate: {'passed' if gate['passed'] else failed}"]


def _labels(report: Mapping[str, Any]) -> list[str]:
    """What is known of labels, in a line each."""
    labels, slices, reviews = (report[key] for key in ("labels", "slices", "reviews"))
    noise = (labels or {}).get("noise")
    lines = []
    if noise and noise["says"]:
        lines.append(f"- Labels: {quote(noise['says'])}")
    if slices:
        lines.append(f"- Slices: {quote(slices['sentence'])}")
    for key, name in (("flagged", "flagged"), ("unflagged", "other")):
        rate = reviews[key] if reviews else None
        if rate:
            within = f"{share(rate['low'])} to {share(rate['high'])}"
            lines.append(f"- Reviewed: {share(rate['share'])} of the {name} labels are wrong "
                         f"({within}, {compact(rate['reviewed'])} looked at)")  # fmt: skip
    return ["", *lines, ""] if lines else []


def _findings(findings: list[dict[str, Any]]) -> list[str]:
    if not findings:
        return []
    lines = ["", "| check | severity | samples | share |", "|---|---|---:|---:|"]
    lines += [
        f"| {quote(one['check_id'])} | {quote(one['severity'])} | {compact(one['samples'])} "
        f"| {share(one['prevalence'])} |"
        for one in findings[:CHECKS_MAX]
    ]
    more = len(findings) - CHECKS_MAX
    return [*lines, *([f"and {more} more checks in `findings.parquet`"] if more > 0 else []), ""]
