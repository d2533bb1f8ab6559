"""The words of the report: headline, names of arms and endpoints, text made safe to show."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from flows.report.figures import compact

TEXT_MAX = 120
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
ARM_NAMES = {
    "raw": "raw",
    "raw_again": "raw again",
    "cleaned": "cleaned",
    "random_drop": "random drop",
    "oracle": "oracle",
}
ENDPOINT_NAMES = {
    "final_acc": "test accuracy",
    "aulc": "area under the curve",
    "rmst_steps": "steps to target",
    "nll": "test loss",
}
WORD_NAMES = {
    "helps": "Helps",
    "hurts": "Hurts",
    "equivalent": "Equivalent",
    "undecided": "Undecided",
    "not_measured": "Not measured",
}


def shown(value: object, limit: int = TEXT_MAX) -> str:
    r"""Return text with control and direction characters made visible, its middle cut if long.

    >>> shown("a\u202egpj.exe\n"), shown("x" * 9, 5)
    ('a\\u202egpj.exe\\u000a', 'xx…xx')
    """
    text = "" if value is None else str(value)
    if len(text) > limit:
        half = (limit - 1) // 2
        text = f"{text[:half]}\u2026{text[-half:]}"
    return reveal(text)


def reveal(text: str) -> str:
    r"""Return text with control, direction and unassigned characters as their numbers.

    >>> reveal("a\u200bb")
    'a\\u200bb'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"\\u{ord(char):04x}" if unicodedata.category(char) in HIDDEN else char for char in text
    )


def name_arm(arm: object) -> str:
    """Return an arm's name as people say it.

    >>> name_arm("random_drop")
    'random drop'
    """
    return ARM_NAMES.get(str(arm), str(arm).replace("_", " "))


def name_endpoint(endpoint: object) -> str:
    """Return an endpoint's name as people say it.

    >>> name_endpoint("final_acc")
    'test accuracy'
    """
    return ENDPOINT_NAMES.get(str(endpoint), str(endpoint).replace("_", " "))


def headline(report: Mapping[str, Any]) -> str:
    """Return the one sentence to read: the verdict, or how far the run has come."""
    verdict = report["verdict"]
    if verdict["word"] != "not_measured":
        return str(verdict["sentence"])
    samples, findings = report["source"]["samples"], report["findings"]
    if not samples:
        return "Nothing has been profiled yet."
    if any(gap["station"] == "check" for gap in report["missing"]):
        return f"{compact(samples)} samples profiled; no check has run yet."
    flagged = len(findings)
    found = f"{flagged} {'check' if flagged == 1 else 'checks'} found something"
    gate = report["gate"]
    stopped = gate is not None and not gate["passed"]
    rest = "the quality gate failed, so nothing was trained" if stopped else "training not compared"
    return f"{compact(samples)} samples, {found if flagged else 'nothing found'}; {rest}."
