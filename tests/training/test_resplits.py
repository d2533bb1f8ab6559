from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from training import statistics as st
from training.errors import TrainingError
from training.resplits import READ_ON, judge_resplits, read_split

ROWS = {"train": 140, "val": 20, "test": 40}
PAIRS = (("cleaned", "raw"), ("cleaned", "random_drop"))
REPEATS = 600


def split(over_raw: float, over_control: float, word: str = "helps") -> dict[str, Any]:
    """One division whose accuracy and area gain as much over raw, and over the control."""
    gains = dict(zip(PAIRS, (over_raw, over_control), strict=True))
    effects = [
        {"arm": arm, "versus": versus, "endpoint": endpoint, "estimate": gains[arm, versus]}
        for arm, versus in PAIRS
        for endpoint in READ_ON
    ]
    return {
        "word": word, "margin": 0.003, "seeds": 5, "rows": ROWS, "effects": effects,
        "unchanged": False, "control_is_raw": False, "blind": False, "read_filled": False,
    }  # fmt: skip


def main_of(told: dict[str, Any], endpoint: str = "final_acc") -> dict[str, Any]:
    """The effect of cleaning over raw."""
    return next(row for row in told["effects"] if row["endpoint"] == endpoint)


@pytest.mark.parametrize("times", [5, 10, 20])
def test_the_interval_over_divisions_covers_what_the_plain_t_does_not(times: int) -> None:
    """A set without effect, divided many times: the truth 0 is covered in 93 % and more.

    Each row is a paired difference; a division reads the mean of the rows that fall to its test,
    and 70 % train, 10 % validate. The plain t covers less, the less the more divisions.
    """
    rng, total = np.random.default_rng(times), sum(ROWS.values())
    held = {"plain": 0, "shared": 0}
    for _ in range(REPEATS):
        rows = rng.normal(0, 0.3, total)
        told = judge_resplits(
            [split(*[rng.permutation(rows)[: ROWS["test"]].mean()] * 2) for _ in range(times)]
        )
        main = main_of(told)
        held["shared"] += main["low"] <= 0 <= main["high"]
        held["plain"] += main["plain"]["low"] <= 0 <= main["plain"]["high"]
    assert held["shared"] / REPEATS >= 0.93
    assert held["plain"] / REPEATS < {5: 0.9, 10: 0.8, 20: 0.7}[times]


@given(some.lists(some.floats(-0.5, 0.5), min_size=2, max_size=12))
def test_the_plain_interval_is_too_narrow_by_a_known_factor(gains: list[float]) -> None:
    """Both intervals have one middle; the wide one is sqrt(1 + R n_test / n_train) times as wide.

    Of the area under the curve the validation rows take the place of the test rows.
    """
    told = judge_resplits([split(gain, 0.0) for gain in gains])
    for endpoint, held in (("final_acc", 40), ("aulc", 20)):
        main = main_of(told, endpoint)
        factor = (1 + len(gains) * held / 140) ** 0.5
        assert main["wider"] == pytest.approx(factor)
        assert main["estimate"] == pytest.approx(np.mean(gains))
        wide, narrow = (one["high"] - one["low"] for one in (main, main["plain"]))
        assert wide == pytest.approx(factor * narrow)
        assert main["p"] >= main["plain"]["p"] or wide == 0


def test_verdicts_follow_the_wide_interval() -> None:
    """Helps, hurts, equivalent and undecided are told by the interval over divisions and Holm."""
    noise = np.linspace(-0.004, 0.004, 10)
    words = {}
    for gain, spread in ((0.05, 1.0), (-0.05, 1.0), (0.0, 0.1), (0.004, 1.0)):
        told = judge_resplits([split(gain + spread * one, gain + spread * one) for one in noise])
        words[gain] = told["verdict"]
    assert [one["word"] for one in words.values()] == ["helps", "hurts", "equivalent", "undecided"]
    assert words[0.05]["sentence"].startswith("Cleaning helps, whichever rows are the test: +5.0")
    assert "these divisions find differences of" in words[0.004]["sentence"]
    plain = main_of(judge_resplits([split(0.004 + one, 0.0) for one in noise]))["plain"]
    assert plain["low"] > 0  # the plain t would have said that it helps


def test_verdicts_of_single_divisions_are_counted() -> None:
    """What each division says by itself is told, the commonest first, and how many are ahead."""
    told = judge_resplits([split(0.01, 0.0), split(-0.01, 0.0, "undecided"),
                           split(0.02, 0.0, "undecided")])  # fmt: skip
    assert told["words"] == {"undecided": 2, "helps": 1}
    main = main_of(told)
    assert (main["above"], main["least"], main["most"]) == (2, -0.01, 0.02)


def test_equal_gains_are_no_sign_of_precision() -> None:
    """Where all divisions gain one and the same, rounding to whole test items leaves a width."""
    told = judge_resplits([split(0.025, 0.025)] * 4)
    main = main_of(told)
    assert main["high"] - main["low"] > 0
    grain = 1 / (ROWS["test"] * 5)
    wide = st.resplit_t(np.full(4, 0.025), 40, 140, grain=grain)
    assert (main["low"], main["high"]) == (wide.low, wide.high)
    luck = main_of(judge_resplits([split(0.0, 0.0)] * 4))
    assert luck["low"] < 0 < luck["high"]
    same = {**split(0.0, 0.0), "unchanged": True}
    nothing = main_of(judge_resplits([same] * 4))
    assert (nothing["low"], nothing["high"], nothing["mde"]) == (0.0, 0.0, None)


def test_divisions_of_other_counts_of_seeds_are_not_mixed() -> None:
    """A division of 6 seeds among such of 5 is refused, with both counts."""
    with pytest.raises(TrainingError, match=r"differ in their seeds.*got \[5, 6\]"):
        judge_resplits([split(0.1, 0.1), {**split(0.1, 0.1), "seeds": 6}])


def test_a_control_that_is_raw_everywhere_is_one_hypothesis() -> None:
    """Where no division dropped anything p is not corrected, and raw is called the control."""
    gains = (0.05, 0.03, 0.06, 0.02, 0.05)
    same = [{**split(gain, gain), "control_is_raw": True} for gain in gains]
    told = judge_resplits(same)
    main = main_of(told)
    assert main["p"] == main["p_holm"]
    assert told["verdict"]["sentence"].endswith("so raw itself is the control.")
    mixed = judge_resplits([split(gains[0], gains[0]), *same[1:]])
    assert main_of(mixed)["p_holm"] == pytest.approx(2 * main["p"])
    assert main_of(mixed)["mde"] > main["mde"]


def test_a_blind_division_shows_no_equivalence() -> None:
    """No difference is equivalence only where all could have found one; the sentence counts them.

    A clear gain needs no such thing.
    """
    alike, gains = [split(0.0, 0.0)] * 4, [split(gain, gain) for gain in (0.05, 0.06, 0.055, 0.05)]
    assert _verdict(alike, {"margin": 0.05})["word"] == "equivalent"
    told = _verdict(alike, {"margin": 0.05}, {"margin": 0.05, "blind": True})
    assert told["word"] == "undecided"
    assert "In 1 of 4 divisions accuracy could not tell" in told["sentence"]
    assert _verdict(gains, {}, {"blind": True})["word"] == "helps"


def test_divisions_in_which_nothing_changed_say_so() -> None:
    """Cleaning that is raw itself everywhere is no finding; what reading gives is named."""
    told = _verdict([split(0.0, 0.0)] * 4, {"unchanged": True, "control_is_raw": True})
    assert told["sentence"] == "Cleaning changed nothing that training sees, in any division."
    read = _verdict([split(0.02, 0.02)] * 4, {"read_filled": True})
    assert "what reading held-out rows filled gives" in read["sentence"]


def _verdict(
    splits: list[dict[str, Any]], all_are: dict[str, Any], first_is: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The verdict on divisions of which all, and then the first, are so."""
    made = [{**one, **all_are} for one in splits]
    told: dict[str, Any] = judge_resplits([{**made[0], **(first_is or {})}, *made[1:]])["verdict"]
    return told


def test_one_division_is_refused() -> None:
    """No interval is made of one division."""
    with pytest.raises(TrainingError, match="too few divisions"):
        judge_resplits([split(0.1, 0.1)])


def test_an_experiment_is_read_as_a_division() -> None:
    """Of experiment.json the primary tier's verdict, effects and the rows that raw trains on."""
    effects = [{**row, "low": 0.0} for row in split(0.02, 0.01)["effects"]]
    verdict = {
        "word": "undecided", "margin": 0.003, "unchanged": False, "control_is_raw": True,
        "blind": {"why": "unlearnt"}, "reading": None,
    }  # fmt: skip
    tier = {"arms": [{"arm": "raw", "n_train": 130}], "effects": effects, "verdict": verdict}
    told = read_split({
        "tiers": {"probe": tier}, "primary_tier": "probe", "seeds": 5,
        "facts": {"rows": ROWS},
    })  # fmt: skip
    assert told["rows"] == {**ROWS, "train": 130}
    assert told["word"] == "undecided"
    assert (told["unchanged"], told["control_is_raw"]) == (False, True)
    assert (told["blind"], told["read_filled"]) == (True, False)
    assert {(row["versus"], row["estimate"]) for row in told["effects"]} == {
        ("raw", 0.02), ("random_drop", 0.01),
    }  # fmt: skip
