"""What the experiment found beside the verdict, in plain sentences: one for each question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.arms import CLEANED, RAW, RAW_AGAIN
from training.wording import points, span

_MANY = 10_000


def say_worth(report: Mapping[str, Any]) -> dict[str, str]:
    """Return sentences by question: break_even, data_equivalent, churn, calibration, ...

    report: a tier's part of experiment.json without its verdict. A question that was not asked
    of these runs is left out.
    """
    told = {
        "break_even": _say_break_even(report["break_even"]),
        "data_equivalent": _say_equivalent(report["data_equivalent"]),
        "better": _say_better(report["effects"]),
        "calibration": _say_calibration(report["effects"]),
        "churn": _say_churn(report["churn"]),
        "groups": _say_groups(report["shapley"]),
        "dose": _say_dose(report["dose"]),
    }
    return {question: sentence for question, sentence in told.items() if sentence}


def count(value: float) -> str:
    """Return a count of trainings as people say it: whole, and never fewer than are needed.

    >>> count(3.2), count(0.4), count(123456.0)
    ('4', '1', 'more than 10,000')
    """
    if value > _MANY:
        return f"more than {_MANY:,}"
    whole = int(value)
    return f"{max(1, whole + (whole < value)):,}"


def _say_break_even(rows: Sequence[Mapping[str, Any]]) -> str:
    last = next((row for row in rows if row["q"] == 1.0), None)
    if last is None:
        return ""
    cost = f"{last['cleaning_cpu_s']:,.0f} CPU seconds"
    if last["parts"] > 1:
        cost += (
            f" ({last['last_part_cpu_s']:,.0f} for the last of {last['parts']} parts of the data)"
        )
    goal = "to reach raw's final accuracy"
    if last["word"] == "never":
        return f"Cleaning cost {cost} and saves no time {goal}: on time alone it never pays."
    if last["word"] == "open":
        least = count(last["low"])
        return (
            f"Cleaning cost {cost}; whether it saves time {goal} is not shown, so on time alone "
            f"it may never pay, and not before {_trainings(least)}."
        )
    if last["word"] == "at_once":
        return f"Cleaning cost {cost} and saves more {goal}: the first training pays for it."
    bound = "at most " if last["at_most"] else ""
    between = f"95 % interval {count(last['low'])} to {count(last['high'])}"
    return (
        f"Cleaning cost {cost}, paid for after {bound}{_trainings(count(last['trainings']))} "
        f"to raw's final accuracy ({between}, {last['n']} paired seeds)."
    )


def _trainings(told: str) -> str:
    return f"{told} training{'' if told == '1' else 's'}"


def _say_equivalent(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    if found["refused"]:
        return f"No forecast of the raw data that cleaning stands for: {found['refused']}."
    return (
        f"Forecast: raw data would have to be {found['factor']:.2g} times as much "
        f"({found['samples']:,.0f} samples; 95 % interval {found['low']:.2g} to "
        f"{found['high']:.2g} times, {found['n']} paired seeds) to train as well as the cleaned."
    )


def _say_better(effects: Sequence[Mapping[str, Any]]) -> str:
    main = _find(effects, "final_acc")
    low, high = main["p_better_low"], main["p_better_high"]
    if low > 0.5:  # noqa: PLR2004 - an even chance
        meant = "better more often than not" + ("" if high > 0.75 else ", yet under 75 %")  # noqa: PLR2004
    elif high < 0.5:  # noqa: PLR2004
        meant = "worse more often than not"
    else:
        meant = "which may still be an even chance"
    return (
        f"One training on cleaned data beats one on raw with probability {main['p_better']:.2f} "
        f"(95 % interval {low:.2f} to {high:.2f}, {main['n']} paired seeds): {meant}."
    )


def _say_calibration(effects: Sequence[Mapping[str, Any]]) -> str:
    main = _find(effects, "ece")
    middle, low, high = span(main)
    told = f"{middle} points ({low} to {high}, {main['n']} paired seeds)"
    if main["high"] < 0:
        return f"Confidence is truer after cleaning: calibration error {told}."
    if main["low"] > 0:
        return f"Confidence is less true after cleaning: calibration error {told}."
    return f"Calibration error is not shown to change: {told}."


def _say_churn(rows: Sequence[Mapping[str, Any]]) -> str:
    def share(row: Mapping[str, Any]) -> str:
        return f"{points(row['estimate'], signed=False)} %"

    by_pair = {(row["arm"], row["versus"]): row for row in rows}
    main, again = by_pair[CLEANED, RAW], by_pair[RAW_AGAIN, RAW]
    excess = main["excess"]
    told = (
        f"Cleaning changes the predicted class of {share(main)} of the test items; training raw "
        f"again with another seed changes {share(again)}"
    )
    if excess["low"] <= 0 <= excess["high"]:
        return f"{told}, which is not shown to differ."
    return f"{told}: {'more' if excess['estimate'] > 0 else 'less'} than luck alone."


def _say_groups(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    shown = [row for row in rows if row["p_by"] < 0.05]  # noqa: PLR2004
    if not shown:
        return "No group of checks is shown to carry the effect alone."
    shown.sort(key=lambda row: -abs(row["estimate"]))
    told = (f"{row['group']} {points(row['estimate'])} points" for row in shown)
    return f"Of the whole effect, groups of checks carry: {', '.join(told)}."


def _say_dose(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    trend = found["trend"]
    middle, low, high = span(trend)
    told = f"{middle} points for the whole dose ({low} to {high}, {trend['n']} paired seeds)"
    if trend["low"] <= 0 <= trend["high"]:
        return f"More cleaning is not shown to give more: {told}."
    steps = ", step by step" if found["rises"] else ""
    return f"The more is cleaned, the {'better' if trend['low'] > 0 else 'worse'}{steps}: {told}."


def _find(effects: Sequence[Mapping[str, Any]], endpoint: str) -> Mapping[str, Any]:
    wanted = (CLEANED, RAW, endpoint)
    return next(e for e in effects if (e["arm"], e["versus"], e["endpoint"]) == wanted)
