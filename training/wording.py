"""The verdict in words. Fractions become points of test accuracy (hundredths)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NARROW = 0.002  # an interval of this width would round to one number


def points(fraction: float, *, signed: bool = True, fine: bool = False) -> str:
    """Return hundredths with one decimal; two where one would show nothing, or if `fine`.

    >>> points(0.0139), points(-0.0004), points(0.003, signed=False)
    ('+1.4', '-0.04', '0.3')
    """
    value = 100 * fraction
    digits = 2 if fine or 0 < abs(value) < 0.1 else 1  # noqa: PLR2004 - what one digit shows
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return "0.0" if float(text) == 0 else text


def nats(value: float) -> str:
    """Return a difference of losses with three decimals.

    >>> nats(0.3721), nats(-0.0002)
    ('+0.372', '0.000')
    """
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text


def describe(verdict: Mapping[str, Any]) -> str:
    """Return the verdict as one to three sentences.

    verdict: what `reach_verdict` knows. A speed-up is told where its interval excludes 1, and as
    a bound where only one of the arms was cut off by the budget.

    >>> base = {"word": "helps", "estimate": 0.0139, "low": 0.011, "high": 0.016, "n": 8,
    ...     "margin": 0.003, "mde": 0.003, "low_new": 0.004, "high_new": 0.024, "speedup": None,
    ...     "over_random_drop": {"estimate": 0.018, "low": 0.016, "high": 0.02, "p_holm": 0.001}}
    >>> describe(base).split(". ")[0]
    'Cleaning helps: +1.4 points of test accuracy (95 % interval +1.1 to +1.6, 8 paired seeds)'
    """
    if verdict.get("unchanged"):
        return (
            "Cleaning changed nothing that training sees: no row, label or weight of the train "
            "split, so raw and cleaned are one."
        )
    if verdict.get("blind"):
        return _blind(verdict["blind"], verdict["n"])
    lead, speed, reading = _lead(verdict), _speed(verdict), _reading(verdict)
    if verdict["word"] not in ("helps", "hurts"):
        rest = f"Training on the cleaned data {speed}." if speed else ""
        return " ".join(part for part in (f"{lead}.", reading, rest) if part)
    joint = "and" if (verdict["speedup"] or {}).get("ratio", 0) > 1 else "but"
    if verdict["word"] == "hurts":
        joint = "but" if joint == "and" else "and"
    lead += f", {joint} it {speed}." if speed else "."
    parts = (lead, reading, _control(verdict), _new_data(verdict))
    return " ".join(part for part in parts if part)


def span(found: Mapping[str, Any], suffix: str = "") -> tuple[str, str, str]:
    """Return estimate, low and high in points, fine where the interval is narrow.

    >>> span({"estimate": 0.002, "low": 0.0017, "high": 0.0023})
    ('+0.20', '+0.17', '+0.23')
    """
    names = ("estimate", f"low{suffix}", f"high{suffix}")
    fine = found[names[2]] - found[names[1]] < _NARROW
    told = [points(found[name], fine=fine) for name in names]
    return told[0], told[1], told[2]


def _lead(verdict: Mapping[str, Any]) -> str:
    middle, low, high = span(verdict)
    gained = f"{middle} points of test accuracy"
    within = f"(95 % interval {low} to {high}, {verdict['n']} paired seeds)"
    if verdict["word"] in ("helps", "hurts"):
        return f"Cleaning {verdict['word']}: {gained} {within}"
    if verdict["word"] == "equivalent":
        margin = points(verdict["margin"], signed=False)
        return f"Cleaning makes no difference that matters: {gained} {within}, inside +-{margin}"
    if not verdict.get("enough_seeds", True):
        return f"Undecided: {gained} {within}; a verdict needs 5 seeds or more"
    read = verdict.get("reading")
    if read and read["word"] != read["word_over"]:
        words = f"{read['word']} against raw as it came, {read['word_over']} against raw read"
        return f"Undecided: {gained} {within}, {words} from the same filled held-out rows"
    both = verdict["low"] > 0 or verdict["high"] < 0
    why = ", not significant once both primary contrasts count" if both else ""
    if verdict["mde"] is None:
        return f"Undecided: {gained} {within}{why}"
    least = points(verdict["mde"], signed=False)
    found = f"these seeds find differences of {least} points or more"
    return f"Undecided: {gained} {within}{why}; {found}"


def _blind(why: Mapping[str, Any], seeds: int) -> str:
    """Why nothing can be said of accuracy, and where to look instead."""
    share, worst = points(why["commonest"], signed=False), span(why["worst_class_acc"])
    loss = [nats(why["nll"][name]) for name in ("estimate", "low", "high")]
    return (
        "Undecided: neither arm is shown to beat always answering the commonest class, right for "
        f"{share} % of the test items, so accuracy cannot tell them apart. Look at the loss and "
        f"the worst class: cleaning changes the test loss by {loss[0]} nats ({loss[1]} to "
        f"{loss[2]}) and accuracy in the worst class by {worst[0]} points ({worst[1]} to "
        f"{worst[2]}), {seeds} paired seeds."
    )


def _reading(verdict: Mapping[str, Any]) -> str:
    """What comes of reading filled held-out rows, and what of training; empty where none are."""
    read = verdict.get("reading")
    if not read:
        return ""
    alone, over = span(read), span(read["over"])
    return (
        f"Reading held-out rows filled gives {alone[0]} points ({alone[1]} to {alone[2]}) without "
        f"any training on cleaned rows, that training {over[0]} ({over[1]} to {over[2]}) over it."
    )


def _speed(verdict: Mapping[str, Any]) -> str:
    """What the cleaned arm does, without its subject; empty where nothing is shown."""
    sooner = verdict["speedup"]
    if sooner is None or sooner["low"] <= 1 <= sooner["high"]:
        return ""
    ratio = sooner["ratio"]
    bound = "at least " if sooner.get("at_least" if ratio > 1 else "at_most") else ""
    times = _times(max(ratio, 1 / ratio))
    if not verdict.get("enough_seeds", True) or times == "1.00":
        return ""
    told = f"reaches raw's final accuracy {bound}{times}x sooner"
    if ratio < 1:
        told = f"takes {bound}{times}x as long to raw's final accuracy"
    if not verdict.get("reading"):
        return told
    return f"{told} {'than' if ratio > 1 else 'as'} raw read from the same filled rows"


def _times(ratio: float) -> str:
    """A factor of 1 or more with as many digits as say something.

    >>> _times(1.04), _times(1.57), _times(23.4)
    ('1.04', '1.6', '23')
    """
    return f"{ratio:.2f}" if ratio < 1.1 else f"{ratio:.2g}"  # noqa: PLR2004 - 1.0x says nothing


def _control(verdict: Mapping[str, Any]) -> str:
    if verdict.get("control_is_raw"):
        return "No sample was dropped or down-weighted, so raw itself is the control."
    over = verdict["over_random_drop"]
    middle, low, high = span(over)
    told = f"{middle} ({low} to {high}) points"
    if over["p_holm"] < 0.05:  # noqa: PLR2004 - the level of every interval here
        return f"Against a random drop of the same size it is {told}."
    return f"A random drop of the same size is not shown to differ: {told}."


def _new_data(verdict: Mapping[str, Any]) -> str:
    _, low, high = span(verdict, "_new")
    if verdict["low_new"] <= 0 <= verdict["high_new"]:
        told = "this test set is too small to promise the sign on new data"
        return f"Interval on new data {low} to {high}: {told}."
    return f"Interval on new data {low} to {high}."
