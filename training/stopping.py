"""Stopping a tier at one of its planned looks, and what is then told of it.

The seeds of all arms grow from look to look; cleaned against raw on final accuracy decides. Its
bound is of `training.sequential`, and of Holm's two primary contrasts: half of alpha, all of it
once the other contrast has crossed its own half (alpha may be passed on between group-sequential
tests with the same looks, Maurer and Bretz 2013, Stat. Biopharm. Res. 5:311), or where the control
is raw itself and both contrasts are one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import special

from training import statistics as st
from training.arms import CLEANED, RANDOM_DROP, RAW
from training.effects import adjust_primary, first_alpha, is_primary, reach_verdict
from training.judged import ALPHA, Judged
from training.sequential import boundaries, look, repeated_p
from training.statistics import Floats


def take_look(judged: Judged, looks: Sequence[int]) -> dict[str, Any]:
    """Return what the look at these runs says of cleaned - raw, final accuracy (fractions).

    Returns:
        seeds, estimate, low, high (the repeated 95 % interval), p (nominal, two-sided), bound
        (what p has to undercut here), critical_t (of the interval), crossed, and word: stop or
        continue. The last look stops.

    Raises:
        TrainingError: if no look was planned at this count of seeds.
    """
    d, grain = _differences(judged, CLEANED, RAW)
    told = look(d, looks, grain=grain)
    other, step = _differences(judged, CLEANED, RANDOM_DROP)
    half = first_alpha(one=judged.control_is_raw)
    passed_on = look(other, looks, half, grain=step).significant
    bound = boundaries(looks, ALPHA if passed_on else half)[list(looks).index(d.size)]
    found = told.adjusted
    crossed = found.p < bound
    return {
        "seeds": d.size, "estimate": found.estimate, "low": found.low, "high": found.high,
        "p": found.p, "bound": bound, "level": told.level,
        "critical_t": float(-special.stdtrit(d.size - 1, told.level / 2)),
        "crossed": crossed, "word": "stop" if crossed or d.size == looks[-1] else "continue",
    }  # fmt: skip


def _differences(judged: Judged, arm: str, versus: str) -> tuple[Floats, float]:
    """The paired differences (S,) in final accuracy, and the step in which they are read."""
    d = judged.values(arm, "final_acc") - judged.values(versus, "final_acc")
    return d, judged.grain(arm, versus)


def adjust(
    report: Mapping[str, Any], judged: Judged, looks: Sequence[int], taken: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Return a tier's report with its primary contrasts and its verdict adjusted for looking.

    report: of `training.effects.judge_tier`. taken: the looks so far, of `take_look`. Intervals of
    final accuracy become repeated ones, p values repeated ones before Holm's correction, and the
    smallest effect is what this look's bound finds. Other effects keep their plain intervals.
    """
    rows = [_adjust_row(judged, row, looks, taken[-1]["level"]) for row in report["effects"]]
    adjust_primary(rows, one=judged.control_is_raw, told="p_looks")
    verdict = reach_verdict(judged, rows, report["speedups"])
    verdict["sentence"] = f"{verdict['sentence']} {say_look(looks, taken)}"
    told = {"planned": list(looks), "number": len(taken), **taken[-1], "taken": list(taken)}
    return {**report, "effects": rows, "verdict": verdict, "look": told}


def _adjust_row(
    judged: Judged, row: Mapping[str, Any], looks: Sequence[int], level: float
) -> dict[str, Any]:
    """One effect as it is told at a look whose level at 5 % is `level`."""
    if not is_primary(row):
        return dict(row)
    (d, grain), count = _differences(judged, row["arm"], row["versus"]), row["n"]
    hits = judged.hits(row["arm"]).astype(np.float32) - judged.hits(row["versus"])
    own = st.paired_t(d, 0 * d, 1 - level, grain=grain)
    new = st.crossed_t(hits, 1 - level, grain=grain)
    alpha = first_alpha(one=judged.control_is_raw)
    first = boundaries(looks, alpha)[list(looks).index(count)]
    sd = st.spread(d, 0 * d, grain)
    return {
        **row, "low": own.low, "high": own.high, "low_new": new.low, "high_new": new.high,
        "p_looks": repeated_p(row["p"], count, looks),
        "p_equivalent": repeated_p(min(1.0, 2 * row["p_equivalent"]), count, looks) / 2,
        "mde": st.detectable(sd, count, first) if sd > 0 else None,
    }  # fmt: skip


def say_look(looks: Sequence[int], taken: Sequence[Mapping[str, Any]]) -> str:
    """Return in a sentence where the looking ended, and why.

    >>> say_look((6, 12), [{"crossed": True, "p": 2e-7, "bound": 4e-4, "seeds": 6}])
    'Stopped at look 1 of 2, 6 of 12 seeds: p 2e-07 is below its bound 0.0004. The accuracy \
intervals against raw and the control count the looks; others, such as that of speed, do not.'
    """
    last, at = taken[-1], f"look {len(taken)} of {len(looks)}, {taken[-1]['seeds']} of {looks[-1]}"
    side = "is below" if last["crossed"] else "is not below"
    begin = "Stopped at" if last["crossed"] else "Went on to"
    found = f"p {last['p']:.2g} {side} its bound {last['bound']:.2g}"
    return (
        f"{begin} {at} seeds: {found}. The accuracy intervals against raw and the control count "
        "the looks; others, such as that of speed, do not."
    )
