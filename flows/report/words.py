"""The words of the report: headline, names of arms and endpoints, text made safe to show."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from flows.report.figures import compact

TEXT_MAX = 120
SENTENCE_MAX = 300
_MINUS = re.compile(r"(?<![\w.)-])-(?=\d)")  # before a number, but neither within a word nor a date
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
ARM_NAMES = {
    "raw": "raw",
    "raw_again": "raw again",
    "cleaned": "cleaned",
    "random_drop": "random drop",
    "oracle": "oracle",
    "raw_filled": "raw, read filled",
}
ENDPOINT_NAMES = {
    "final_acc": "test accuracy",
    "aulc": "area under the curve",
    "rmst_steps": "steps to 95 % of raw's gain",
    "nll": "test loss",
    "verified_acc": "accuracy on verified labels",
    "worst_class_acc": "accuracy in the worst class",
    "brier": "Brier score",
    "ece": "calibration error",
}
QUESTION_NAMES = {
    "break_even": "when it has paid",
    "data_equivalent": "worth in raw data",
    "better": "one training against one",
    "groups": "which checks",
    "dose": "more or less of it",
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
    text = reveal(_cut("" if value is None else str(value), limit))
    return _cut(text, 2 * limit)  # a text of nothing but hidden characters is six times as long


def told(value: object, limit: int = SENTENCE_MAX) -> str:
    r"""Return sentences, safe to show as by `shown`, cut after a word where they are too long.

    >>> told("The value is far from its neighbours", 18)
    'The value is far\u2026'
    """
    text = "" if value is None else str(value)
    if len(text) > limit:
        head = text[:limit].rpartition(" ")[0] or text[: limit - 1]
        text = f"{head.rstrip(' ,;:')}\u2026"
    return _cut(reveal(text), 2 * limit)


def typeset(text: str) -> str:
    """Return a sentence with true minus and plus-minus signs, its percent signs with their numbers.

    >>> typeset("-0.07 to +0.9, inside +-0.3, row-1").isascii()
    False
    """
    signs = _MINUS.sub("\u2212", text.replace("+-", "\u00b1"))
    return signs.replace(" %", "\u00a0%")


def _cut(text: str, limit: int) -> str:
    half = (limit - 1) // 2
    return f"{text[:half]}\u2026{text[-half:]}" if len(text) > limit else text


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


def name_question(question: object) -> str:
    """Return the question that a sentence of an experiment answers.

    >>> name_question("break_even"), name_question("churn")
    ('when it has paid', 'churn')
    """
    return QUESTION_NAMES.get(str(question), str(question).replace("_", " "))


def name_stage(report: Mapping[str, Any]) -> str:
    """Return the word above the headline: the verdict's, or how far the run has come."""
    word = str(report["verdict"]["word"])
    if word != "not_measured":
        return WORD_NAMES.get(word, word)
    ahead = {gap["station"] for gap in report["missing"]}
    stages = (("profile", "Empty"), ("check", "Profiled"), ("clean", "Checked"))
    return next((stage for station, stage in stages if station in ahead), "Not compared")


def headline(report: Mapping[str, Any]) -> str:
    """Return the one sentence to read: the verdict, or how far the run has come."""
    verdict = report["verdict"]
    if verdict["word"] != "not_measured":
        return str(verdict["sentence"])
    samples, findings = report["source"]["samples"], report["findings"]
    is_table = report["columns"]["kind"] == "columns"
    told = f"{compact(samples)} {'row' if is_table else 'sample'}{'' if samples == 1 else 's'}"
    if any(gap["station"] == "check" for gap in report["missing"]):
        if is_table:
            return f"{told}, {_tell_columns(report['columns']['rows'])}; no check has run yet."
        profiled = f"{told} profiled; no check has run yet."
        return profiled if samples else "Nothing has been profiled yet."
    flagged = len(findings)
    found = f"{flagged} {'check' if flagged == 1 else 'checks'} found something"
    gate = report["gate"]
    stopped = gate is not None and not gate["passed"]
    rest = "the quality gate failed, so nothing was trained" if stopped else "training not compared"
    return f"{told}, {found if flagged else 'nothing found'}; {rest}."


def _tell_columns(columns: list[Mapping[str, Any]]) -> str:
    """Return how many columns there are, and how many of them have gaps."""
    gappy = sum(column["missing"] > 0 for column in columns)
    told = f"{compact(len(columns))} {'column' if len(columns) == 1 else 'columns'}"
    if len(columns) == 1:
        return f"{told} with gaps" if gappy else told
    return f"{told}, {f'{compact(gappy)} of them' if gappy else 'none'} with gaps"
