"""One data set divided many times: what cleaning is worth whichever rows happen to be the test.

On a small set the division decides as much as the cleaning does. Each division is an experiment of
its own, checked and cleaned anew; here their effects become one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from training import statistics as st
from training.arms import RAW
from training.effects import PRIMARY, adjust_primary, first_alpha, pick
from training.errors import TrainingError
from training.judged import ALPHA
from training.statistics import Floats
from training.wording import points, span

LEAST_SPLITS = 2  # a spread needs two
READ_ON = {"final_acc": "test", "aulc": "val"}  # the rows that each endpoint is read on
Split = Mapping[str, Any]


def read_split(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """Return what one division's experiment.json tells: word, margin, seeds, rows, effects.

    unchanged: whether cleaned is raw itself. control_is_raw: whether the random drop is. blind:
    whether accuracy could not tell (`training.sensitivity`). read_filled: whether cleaned was read
    from filled held-out rows.
    rows: samples by split, those that raw trains on as train. effects: arm, versus, endpoint and
    the estimate (fraction), the mean over paired seeds.
    """
    tier = experiment["tiers"][experiment["primary_tier"]]
    raw = next(row for row in tier["arms"] if row["arm"] == RAW)
    effects = [
        {"arm": arm, "versus": versus, "endpoint": endpoint,
         "estimate": pick(tier["effects"], arm, versus, endpoint)["estimate"]}
        for arm, versus in PRIMARY
        for endpoint in READ_ON
    ]  # fmt: skip
    verdict = tier["verdict"]
    return {
        **{key: verdict[key] for key in ("word", "margin", "unchanged", "control_is_raw")},
        "blind": bool(verdict["blind"]), "read_filled": bool(verdict["reading"]),
        "seeds": experiment["seeds"],
        "rows": {**experiment["facts"]["rows"], "train": raw["n_train"]},
        "effects": effects,
    }  # fmt: skip


def judge_resplits(splits: Sequence[Split]) -> dict[str, Any]:
    """Return what R divisions of one set say together.

    The interval is careful: it holds the truth in 99 % of made sets, where the plain t holds it in
    85 to 91 % (bench/resplits.py).

    splits: what `read_split` gives of each; R at least 2.

    Returns:
        splits (R), seeds (of each), words (the divisions' own verdicts, counted), effects (of both
        primary contrasts on final accuracy and on the area under the learning curve: estimate,
        low, high, p by Nadeau and Bengio, p_holm of accuracy, mde, least and most of the R
        estimates, above: how many are above 0, plain: {low, high, p} of the t interval that takes
        the divisions for independent) and verdict: {word, sentence, why}.

    Raises:
        TrainingError: if there are fewer than two divisions, or their counts of seeds differ.
    """
    if len(splits) < LEAST_SPLITS:
        raise TrainingError(
            "resplits", "too few divisions were trained on", got=len(splits),
            allowed=f"At least {LEAST_SPLITS}.",
        )  # fmt: skip
    if len(counts := {split["seeds"] for split in splits}) > 1:
        raise TrainingError(
            "resplits", "divisions differ in their seeds, so that they are not of one precision",
            got=sorted(counts), advice="Train all of them with the same number of seeds.",
        )  # fmt: skip
    one = _drop_nothing(splits)
    effects = [
        {"arm": arm, "versus": versus, "endpoint": endpoint, "unit": "fraction",
         **_summarise(splits, arm, versus, endpoint)}
        for endpoint in READ_ON
        for arm, versus in PRIMARY
    ]  # fmt: skip
    adjust_primary(effects, one=one)
    main, control = (pick(effects, arm, versus) for arm, versus in PRIMARY)
    return {
        "splits": len(splits),
        "seeds": splits[0]["seeds"],
        "words": dict(Counter(split["word"] for split in splits).most_common()),
        "effects": effects,
        "verdict": _reach(splits, main, None if one else control),
    }


def _drop_nothing(splits: Sequence[Split]) -> bool:
    """Whether the control is raw in every division: both primary contrasts are one then."""
    return all(split["control_is_raw"] for split in splits)


def _summarise(splits: Sequence[Split], arm: str, versus: str, endpoint: str) -> dict[str, Any]:
    """One contrast over all divisions: both intervals, and how the divisions spread."""
    d: Floats = np.array(
        [pick(split["effects"], arm, versus, endpoint)["estimate"] for split in splits]
    )
    held, trained = (
        sum(int(split["rows"][name]) for split in splits) for name in (READ_ON[endpoint], "train")
    )
    same = all(
        split["unchanged"] and (versus == RAW or split["control_is_raw"]) for split in splits
    )
    exact = endpoint != "final_acc" or same
    grain = 0.0 if exact else len(splits) / (held * splits[0]["seeds"])  # of a mean over seeds
    told = st.resplit_t(d, held, trained, grain=grain)
    zero = np.zeros_like(d)
    plain = st.paired_t(d, zero, grain=grain)
    shared = d.size * held / trained  # the variance is 1 + shared times that of the plain t
    sd = st.spread(d, zero, grain) * (1 + shared) ** 0.5
    alpha = first_alpha(one=_drop_nothing(splits)) if endpoint == "final_acc" else ALPHA
    return {
        **asdict(told),
        "mde": st.detectable(sd, d.size, alpha) if sd > 0 else None,
        "plain": {"low": plain.low, "high": plain.high, "p": plain.p},
        "wider": (1 + shared) ** 0.5,
        "least": float(d.min()), "most": float(d.max()), "above": int((d > 0).sum()),
    }  # fmt: skip


def _reach(
    splits: Sequence[Split], main: Mapping[str, Any], control: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The word on cleaned - raw, by the same rules as one experiment's, and sentences.

    That nothing was found is no equivalence where a division could have found nothing. control:
    None where it is raw itself.
    """
    word, margin = "undecided", float(splits[0]["margin"])
    unchanged, blind = (sum(split[key] for split in splits) for key in ("unchanged", "blind"))
    within = -margin < main["low"] and main["high"] < margin
    if unchanged == len(splits) or (within and not blind):
        word = "equivalent"
    elif main["p_holm"] < ALPHA and not within:
        word = "helps" if main["estimate"] > 0 else "hurts"
    sentence = _say(word, main, control, margin)
    if unchanged == len(splits):
        sentence = "Cleaning changed nothing that training sees, in any division."
    elif blind:
        sentence += (
            f" In {blind} of {len(splits)} divisions accuracy could not tell the arms apart; their "
            "reports say why."
        )
    if any(split["read_filled"] for split in splits):
        sentence += (
            " The effect holds what reading held-out rows filled gives; each division's report "
            "parts the two."
        )
    return {"word": word, "margin": margin, "sentence": sentence, "why": tell_why(main)}


def _say(
    word: str, main: Mapping[str, Any], control: Mapping[str, Any] | None, margin: float
) -> str:
    middle, low, high = span(main)
    told = (
        f"{middle} points of test accuracy (95 % interval over divisions {low} to {high}, "
        f"{main['n']} divisions)"
    )
    if word == "undecided":
        least = "" if main["mde"] is None else (
            f"; these divisions find differences of {points(main['mde'], signed=False)} points "
            "or more"
        )  # fmt: skip
        return f"Undecided: {told}{least}."
    if word == "equivalent":
        within = points(margin, signed=False)
        return f"Cleaning makes no difference that matters: {told}, inside +-{within}."
    lead = f"Cleaning {word}, whichever rows are the test: {told}."
    if control is None:
        return f"{lead} No sample was dropped or down-weighted, so raw itself is the control."
    middle, low, high = span(control)
    shown = "it is" if control["p_holm"] < ALPHA else "it is not shown to differ:"
    return (
        f"{lead} Against a random drop of the same size {shown} {middle} ({low} to {high}) points."
    )


def tell_why(effect: Mapping[str, Any]) -> str:
    """Return in plain words why the plain t interval is too narrow here.

    >>> tell_why({"wider": 2.0}).split(" each time ")[1]
    'and is 2.0 times too narrow.'
    """
    return (
        "The divisions share most of their rows, so they repeat one another's luck: the plain t "
        f"interval takes them for new data sets each time and is {effect['wider']:.1f} times too "
        "narrow."
    )
