"""Expectation suites of the metric table as JSON files: written, read back, and held to the file.

Great Expectations drops an expectation whose class it does not know and goes on, so that a suite
can turn green by losing its rules. What is loaded here has exactly the types of its file.
"""

from __future__ import annotations

import json
import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from checks.core.errors import ContractError
from checks.core.whole_file import replace_file

SUITE_NAME = "metric_table"


def import_gx() -> Any:
    """Import Great Expectations (seconds, hence only where it is used) with its telemetry off."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports sre_constants
        import great_expectations  # noqa: PLC0415
        import great_expectations.expectations  # noqa: PLC0415
    return great_expectations


def write_atomically(path: Path, text: str) -> None:
    """Write `text` as UTF-8 so that `path` has all of it or is as it was."""
    replace_file(path, text.encode("utf-8"))


def write_suite(path: Path, expectations: Sequence[Mapping[str, object]]) -> None:
    """Build a suite of `expectations` (type, kwargs, meta, severity) and store it as JSON.

    Raises:
        ContractError: an expectation that Great Expectations does not accept.
    """
    suite = _build(str(path), {"name": SUITE_NAME, "expectations": list(expectations)})
    write_atomically(path, json.dumps(suite.to_json_dict(), indent=2, sort_keys=True) + "\n")


def read_suite(path: Path) -> Any:
    """Return the ExpectationSuite that `path` holds.

    Raises:
        ContractError: the file cannot be read, is no suite, or holds expectations that are not
            known; the nearest name is given.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as broken:
        raise ContractError(str(path), "cannot be read as JSON", got=str(broken)) from broken
    if not isinstance(held, dict) or not isinstance(held.get("expectations"), list):
        advice = "A suite is an object with a list named 'expectations'."
        raise ContractError(str(path), "no expectation suite", advice=advice)
    return _build(str(path), held)


def _build(where: str, held: Mapping[str, Any]) -> Any:
    gx = import_gx()
    asked = [str(one.get("type")) for one in held["expectations"] if isinstance(one, Mapping)]
    _refuse_strangers(where, asked)
    try:
        suite = gx.ExpectationSuite(
            name=SUITE_NAME, expectations=held["expectations"], meta=held.get("meta")
        )
    except Exception as broken:
        problem = " ".join(str(broken).split())
        raise ContractError(where, "an expectation is malformed", got=problem) from broken
    loaded = [one.expectation_type for one in suite.expectations]
    if Counter(loaded) != Counter(asked) or len(asked) != len(held["expectations"]):
        lost = sorted((Counter(asked) - Counter(loaded)).elements())
        advice = "A suite that loses rules would pass by saying nothing."
        raise ContractError(where, "expectations were lost while loading", got=lost, advice=advice)
    return suite


def _refuse_strangers(where: str, names: Sequence[str]) -> None:
    from great_expectations.expectations import registry  # noqa: PLC0415

    known = registry.list_registered_expectation_implementations()
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            advice = f"Did you mean {near[0]!r}?" if near else "Import its class in a check module."
            raise ContractError(where, "no such expectation", got=name, advice=advice)
