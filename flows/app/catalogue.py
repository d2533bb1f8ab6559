"""The catalogue of checks, made from the checks themselves."""

from __future__ import annotations

import json
import sys

from rich.console import Console
from rich.table import Table

from checks.core.check import Check, load_checks
from checks.core.errors import UnknownNameError

GROUPS = {"image": "One image", "table": "Cells of a table", "any": "Whole sets, labels"}


def list_checks(*, as_json: bool) -> None:
    """Print every check: as JSON on stdout, or as a table for a person."""
    known = list(load_checks().values())
    if as_json:
        json.dump([describe(check) for check in known], sys.stdout, indent=1)
        sys.stdout.write("\n")
        return
    console = Console()
    for modality, title in GROUPS.items():
        table = Table(title=title, title_justify="left", title_style="bold", box=None)
        table.add_column("check", no_wrap=True)
        table.add_column("severity", no_wrap=True)
        table.add_column("action", no_wrap=True)
        table.add_column("what it flags")
        for check in known:
            if check.modality == modality:
                table.add_row(check.id, check.severity, check.action, check.summary)
        console.print(table, "")


def explain_check(name: str) -> None:
    """Print one check's documentation and parameters on stdout.

    Raises:
        UnknownNameError: no check has that name.
    """
    known = load_checks()
    if name not in known:
        raise UnknownNameError("check", name, known)
    check = known[name]
    settings = [f"  {key} = {json.dumps(_plain(value))}" for key, value in check.params.items()]
    head = f"{check.id}: {check.modality}, {check.dimension}, {check.severity}, {check.action}"
    lines = [head, "", check.doc, "", f"[checks.{check.id}]", *settings]
    sys.stdout.write("\n".join(lines) + "\n")


def describe(check: Check) -> dict[str, object]:
    """Return what is known about a check as plain data."""
    return {
        "id": check.id,
        "kind": check.kind,
        "modality": check.modality,
        "dimension": check.dimension,
        "severity": check.severity,
        "action": check.action,
        "needs": list(check.needs),
        "params": {key: _plain(value) for key, value in check.params.items()},
        "score": check.score,
        "doc": check.doc,
    }


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple | frozenset | set) else value
