"""The headline of the report, and what must stand beside it."""

from __future__ import annotations

import math
from typing import Any

from flows.report.effects import bounds, find_effect, interval
from flows.report.figures import compact, number, signed
from flows.report.looks import tell_look

Fact = tuple[str, str, str, str]


def state_verdict(
    experiment: dict[str, Any] | None, described: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the headline in points of accuracy: word, sentence, interval, seeds, MDE, facts.

    Args:
        experiment: experiment.json, accuracies as fractions; None before training was compared.
        described: the same by `describe_experiment`.
    """
    if not experiment or not described or not described["tiers"]:
        return {"word": "not_measured", "sentence": "", "more": "", "margin": None, "facts": []}
    tier = described["tiers"][0]
    said = {**tier["verdict"], **(experiment.get("verdict") or {})}
    main = find_effect(tier, "cleaned", "raw") or {}
    word = str(said.get("word") or "undecided")
    sentence, _, more = str(said.get("sentence") or _say(word, main)).partition(". ")
    margin = number(said.get("margin"))
    return {
        "word": word,
        "sentence": sentence if sentence.endswith(".") else f"{sentence}.",
        "more": more,
        "tier": tier["tier"],
        **{key: main.get(key) for key in ("estimate", "low", "high", "unit", "n", "p", "mde")},
        "margin": None if margin is None else 100 * margin,
        "tiers_agree": described["agreement"].get("sign"),
        "facts": _list_facts(tier, main, said, described),
    }


def _say(word: str, main: dict[str, Any]) -> str:
    said = {
        "helps": "Cleaning helps",
        "hurts": "Cleaning hurts",
        "equivalent": "Cleaning makes no difference that matters",
    }.get(word, "It is undecided whether cleaning helps")
    return f"{said}: {interval(main)} test accuracy against raw." if main else f"{said}."


def _list_facts(
    tier: dict[str, Any], main: dict[str, Any], said: dict[str, Any], described: dict[str, Any]
) -> list[dict[str, str]]:
    facts: list[Fact] = []
    if main:
        facts += _tell_main(main, blind=bool(said.get("blind")))
    if look := tell_look(tier.get("look")):
        facts.append(look)
    control = find_effect(tier, "cleaned", "random_drop")
    if control:
        note = "against dropping as many per class at random"
        facts.append(("Cleaned against chance", _estimate(control), bounds(control), note))
    facts += _tell_reading(tier)
    facts += _tell_speed(said.get("speedup"))
    facts += _tell_worth(tier)
    again = find_effect(tier, "raw_again", "raw")
    if again:
        facts.append(("Raw against raw", _estimate(again), bounds(again), _holds_zero(again)))
    facts += _tell_oracle(tier)
    if described["agreement"].get("sentence"):
        facts.append(("Tiers", *_tell_tiers(described["agreement"])))
    names = ("name", "value", "interval", "note")
    return [dict(zip(names, fact, strict=True)) for fact in facts]


def _tell_tiers(agreement: dict[str, Any]) -> tuple[str, str, str]:
    """Whether the tiers point the same way, or find no difference that matters, all of them."""
    alike = set(agreement.get("words", {}).values()) == {"equivalent"}
    told = {True: "agree in sign", False: "differ in sign",
            None: "both equivalent" if alike else "not both clear of zero"}  # fmt: skip
    return told[agreement.get("sign")], "", _words(agreement)


def _tell_main(main: dict[str, Any], *, blind: bool) -> list[Fact]:
    note = f"test accuracy, 95 %, {main.get('n')} paired seeds"
    rho = number(main.get("rho"))
    if rho is not None:
        note += f", correlation {signed(rho)}"
    facts: list[Fact] = [("Cleaned against raw", _estimate(main), bounds(main), note)]
    if number(main.get("low_new")) is not None:
        new = bounds(main, low="low_new", high="high_new")
        facts.append(("The same on new test data", new, "", "seeds and test items both redrawn"))
    mde = number(main.get("mde"))
    if mde is not None and not blind:  # what learns nothing sees nothing, however small
        facts.append(("Smallest effect it could see", f"{mde:.2f} pp", "", "at 80 % power"))
    return facts


def _estimate(effect: dict[str, Any]) -> str:
    return signed(number(effect.get("estimate")), str(effect.get("unit") or ""))


def tell_ratio(speedup: dict[str, Any]) -> str:
    """Return how many times sooner, as a bound where one of the arms never arrived.

    >>> tell_ratio({"ratio": 1.574, "at_least": True})
    '\u2265 1.57 times'
    """
    ratio = number(speedup.get("ratio"))
    bounds = {"at_least": "\u2265 ", "at_most": "\u2264 "}
    bound = next((sign for key, sign in bounds.items() if speedup.get(key)), "")
    return "\u2013" if ratio is None else f"{bound}{ratio:.2f} times"


def _tell_reading(tier: dict[str, Any]) -> list[Fact]:
    """Part what comes of reading filled held-out rows from what comes of training on cleaned ones.

    Nothing where all arms read the same rows.
    """
    alone, over = find_effect(tier, "raw_filled", "raw"), find_effect(tier, "cleaned", "raw_filled")
    if not alone or not over:
        return []
    note = "raw read from filled held-out rows, against raw read from them as they came"
    rest = "cleaned against raw, both read from filled held-out rows"
    return [
        ("Of it by reading alone", _estimate(alone), bounds(alone), note),
        ("Of it by training", _estimate(over), bounds(over), rest),
    ]


def _tell_speed(speedup: dict[str, Any] | None) -> list[Fact]:
    low, high = (number((speedup or {}).get(key)) for key in ("low", "high"))
    if not speedup or low is None or high is None:
        return []
    reached = f"{speedup.get('reached')} and {speedup.get('reached_versus')} of {speedup.get('n')}"
    other = ", read filled," if speedup.get("versus") == "raw_filled" else ""
    note = f"to raw's final accuracy; cleaned and raw{other} runs that reached it: {reached}"
    return [("Convergence, raw to cleaned", tell_ratio(speedup), f"[{low:.2f}, {high:.2f}]", note)]


def tell_trainings(row: dict[str, Any]) -> str:
    """Return after how many trainings the cleaning has paid, as a word where it is no number.

    >>> tell_trainings({"word": "pays", "trainings": 3.2}), tell_trainings({"word": "never"})
    ('4', 'never')
    """
    trainings = number(row.get("trainings"))
    if row.get("word") == "open" or trainings is None:
        return "not shown" if row.get("word") == "open" else "never"
    return compact(max(1, math.ceil(trainings)))


def _tell_worth(tier: dict[str, Any]) -> list[Fact]:
    """Say after how many trainings the cleaning has paid, and what raw data it stands for."""
    facts: list[Fact] = []
    paid = next((row for row in tier["break_even"] if row.get("q") == 1.0), None)
    if paid:
        low, high = number(paid.get("low")), number(paid.get("high"))
        top = "\u221e" if high is None else compact(max(1, math.ceil(high)))
        ends = "" if low is None else f"[{compact(max(1, math.ceil(low)))}, {top}]"
        note = f"to raw's final accuracy, CPU time, {paid.get('n')} paired seeds"
        facts.append(("Trainings until it has paid", tell_trainings(paid), ends, note))
    found = tier["data_equivalent"]
    factor, low, high = (number(found.get(key)) for key in ("factor", "low", "high"))
    if factor is not None and low is not None and high is not None:
        note = f"a forecast from raw subsets, {found.get('n')} paired seeds"
        ends = f"[{low:.2f}, {high:.2f}]"
        facts.append(("Worth as much raw data", f"{factor:.2f} times", ends, note))
    return facts


def _tell_oracle(tier: dict[str, Any]) -> list[Fact]:
    share, low, high = (number(tier["recovered"].get(k)) for k in ("fraction", "low", "high"))
    if share is None:
        return []
    ends = "" if low is None or high is None else f"[{low:.2f}, {high:.2f}]".replace("-", "\u2212")
    return [("Of what perfect cleaning gains", f"{share:.2f}", ends, "over a random drop")]


def _words(agreement: dict[str, Any]) -> str:
    return ", ".join(f"{name} {word}" for name, word in (agreement.get("words") or {}).items())


def _holds_zero(effect: dict[str, Any]) -> str:
    low, high = number(effect.get("low")), number(effect.get("high"))
    if low is None or high is None:
        return "no interval"
    return "holds zero, as it must" if low <= 0 <= high else "does not hold zero: distrust this run"
