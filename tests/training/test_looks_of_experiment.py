from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some
from scipy import special

from tests.training.made_runs import judged
from tests.training.test_heads_batched import clouds
from tests.training.test_trainer_runs import RECIPE, bars
from training.arms import Arms, raw_arm
from training.effects import judge_tier, pick
from training.errors import TrainingError
from training.experiment import ExperimentOptions, compare
from training.recipe import Recipe
from training.sequential import boundaries
from training.statistics import detectable, paired_t
from training.stopping import adjust, take_look
from training.store_arms import Comparison
from training.tiers import spent_cpu_s
from training.trainer import Run

LOOKS = (6, 9, 12)
SIMULATIONS = 2500
PLACES, WIDTHS = np.polynomial.legendre.leggauss(200)
OPTIONS = ExperimentOptions(
    tiers=("train",), looks=LOOKS, pilots=2, steps=40, batch_size=32, device="cpu", workers=1,
    doses=(0.5,), equal_epochs=True,
)  # fmt: skip


def _comparison(*, planted: bool) -> Comparison:
    """Nearly half of the labels flipped; cleaning drops those, or a single sample."""
    data = clouds(flipped=0.45)
    raw = raw_arm(data)
    assert data.true_labels is not None
    right = raw.labels == data.true_labels[data.train]
    keep = right if planted else np.arange(right.size) != 7
    return Comparison(data, Arms(raw, replace(raw, name="cleaned", keep=keep)))


def test_a_large_effect_stops_at_the_first_look(tmp_path: Path) -> None:
    """No later seed is trained, the report says where and why it stopped, and the word is helps."""
    done = compare(_comparison(planted=True), OPTIONS, tmp_path)
    told = done.report["tiers"]["train"]
    assert done.curves.filter(pl.col("arm") != "raw_pilot")["seed"].max() == LOOKS[0] - 1
    assert done.report["seeds"] == told["seeds"] == told["look"]["seeds"] == LOOKS[0]
    assert (told["look"]["number"], told["look"]["planned"]) == (1, list(LOOKS))
    assert told["look"]["p"] < told["look"]["bound"] < boundaries(LOOKS)[0] * 1.001
    assert done.report["verdict"]["word"] == "helps"
    assert "Stopped at look 1 of 3, 6 of 12 seeds" in done.report["verdict"]["sentence"]


def test_no_effect_goes_to_the_last_look_and_reuses_every_run(tmp_path: Path) -> None:
    """All seeds are trained once; the same in one go, with nothing planned, trains none anew."""
    done = compare(_comparison(planted=False), OPTIONS, tmp_path)
    look = done.report["tiers"]["train"]["look"]
    assert [one["seeds"] for one in look["taken"]] == list(LOOKS)
    assert [one["word"] for one in look["taken"]] == ["continue", "continue", "stop"]
    assert not look["crossed"]
    assert done.report["verdict"]["word"] != "helps"
    assert done.curves.select("arm", "seed", "step").is_duplicated().sum() == 0
    files = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.npz")}
    again = compare(_comparison(planted=False), OPTIONS, tmp_path)
    assert {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.npz")} == files
    assert again.curves.equals(done.curves)


def test_runs_of_images_are_those_of_an_experiment_without_looks(tmp_path: Path) -> None:
    """Two looks give the very runs that as many seeds in one go give, out of the same cache."""
    data = bars()
    raw = raw_arm(data)
    arms = Arms(raw, replace(raw, name="cleaned", keep=np.arange(raw.keep.size) % 5 > 0))
    options = replace(OPTIONS, looks=(5, 6), pilots=1, steps=3, doses=())
    looked = compare(Comparison(data, arms), options, tmp_path)
    files = set(tmp_path.glob("*.npz"))
    plain = compare(Comparison(data, arms), replace(options, looks=(), seeds=6), tmp_path)
    assert set(tmp_path.glob("*.npz")) == files
    assert plain.curves.equals(looked.curves)
    assert "look" not in plain.report["tiers"]["train"]


def test_intervals_are_those_of_the_looks_level() -> None:
    """At a look the primary contrasts get the t interval of its nominal level; others do not."""
    made = judged(0.02, seeds=9)
    plain, taken = judge_tier(made), [take_look(made, LOOKS)]
    told = adjust(plain, made, LOOKS, taken)
    level = boundaries(LOOKS)[1]
    a, b = (made.values(arm, "final_acc") for arm in ("cleaned", "raw"))
    wide = paired_t(a, b, 1 - level, grain=1 / made.labels.size)
    row = pick(told["effects"], "cleaned", "raw")
    assert (row["low"], row["high"]) == pytest.approx((wide.low, wide.high))
    assert (taken[0]["low"], taken[0]["high"]) == pytest.approx((wide.low, wide.high))
    half = taken[0]["critical_t"] * (a - b).std(ddof=1) / 3
    assert row["high"] - row["estimate"] == pytest.approx(half, rel=0.01)
    others = [[e for e in report["effects"] if "p_holm" not in e] for report in (plain, told)]
    assert others[0] == others[1]
    before = pick(plain["effects"], "cleaned", "raw")
    assert row["low"] < before["low"] < row["estimate"] == before["estimate"]
    assert row["mde"] > before["mde"]
    assert told["verdict"]["low"] == row["low"]


@pytest.mark.parametrize("gain", [0.0, 0.004, 0.02, -0.02])
def test_the_verdict_agrees_with_the_look(gain: float) -> None:
    """Where the look crosses, cleaning helps or hurts after Holm's correction; else neither."""
    made = judged(gain, seeds=9)
    taken = take_look(made, LOOKS)
    verdict = adjust(judge_tier(made), made, LOOKS, [taken])["verdict"]
    assert (verdict["p"] < 0.05) == taken["crossed"]
    if verdict["word"] != "equivalent":
        assert (verdict["word"] in ("helps", "hurts")) == taken["crossed"]


def _power(difference: float, n: int, alpha: float) -> float:
    """Return how often n pairs of deviation 1 find a difference: the normal tail over chances of s.

    scipy's noncentral t loses its tail here.
    """
    s = np.sqrt(special.chdtri(n - 1, (1 - PLACES) / 2) / (n - 1))
    shift, critical = difference * n**0.5, -special.stdtrit(n - 1, alpha / 2) * s
    found = special.ndtr(shift - critical) + special.ndtr(-shift - critical)
    return float(WIDTHS / 2 @ found)


@given(some.sets(some.integers(5, 64), min_size=1, max_size=4), some.sampled_from([0.05, 0.025]))
@example({5, 64}, 0.025)
@example({6, 12, 24, 48}, 0.025)
@settings(max_examples=40, deadline=None)
def test_every_look_has_a_detectable_effect(counts: set[int], alpha: float) -> None:
    """Whatever looks are allowed, each tells the difference that its bound finds in 80 %."""
    looks = sorted(counts)
    for count, level in zip(looks, boundaries(looks, alpha), strict=True):
        assert _power(detectable(1.0, count, level), count, level) == pytest.approx(0.8, abs=2e-3)


def test_a_first_look_of_few_seeds_among_many_is_told() -> None:
    """At 5 of 64 seeds, whose bound is 1e-18, the report stands: each primary figure is finite."""
    made = judged(0.02, seeds=5)
    told = adjust(judge_tier(made), made, (5, 64), [take_look(made, (5, 64))])
    row = pick(told["effects"], "cleaned", "raw")
    assert np.isfinite([row[name] for name in ("low", "high", "mde", "p_looks", "p_holm")]).all()
    assert row["mde"] > 1


def test_where_the_control_is_raw_a_look_spends_all_of_alpha() -> None:
    """With one hypothesis its bound is that of all of alpha, and p is not corrected."""
    made = judged(0.004, seeds=9)
    one = replace(made, runs={**made.runs, "random_drop": made.runs["raw"]})
    taken = take_look(one, LOOKS)
    assert taken["bound"] == boundaries(LOOKS)[1] > take_look(made, LOOKS)["bound"]
    told = adjust(judge_tier(one), one, LOOKS, [taken])
    main, control = (pick(told["effects"], "cleaned", versus) for versus in ("raw", "random_drop"))
    assert main["p_holm"] == control["p_holm"] == main["p_looks"]
    assert (told["verdict"]["p"] < 0.05) == taken["crossed"]
    plain = adjust(judge_tier(made), made, LOOKS, [take_look(made, LOOKS)])
    assert main["mde"] < pick(plain["effects"], "cleaned", "raw")["mde"]


def test_the_sentence_says_which_intervals_count_the_looks() -> None:
    """Beside a speed-up, which is judged by a plain interval, the claim is of accuracy alone."""
    made = judged(0.04, seeds=9, speed=2.0)
    sentence = adjust(judge_tier(made), made, LOOKS, [take_look(made, LOOKS)])["verdict"][
        "sentence"
    ]
    assert "sooner" in sentence
    assert "accuracy intervals against raw and the control count the looks" in sentence
    assert sentence.endswith("others, such as that of speed, do not.")


class _Values:
    """As much of `Judged` as a look reads."""

    def __init__(self, values: dict[str, np.ndarray]) -> None:
        self.held = values

    def values(self, arm: str, _endpoint: str) -> Any:
        return self.held[arm]

    control_is_raw = False

    def grain(self, _arm: str, _versus: str) -> float:
        return 0.0


def test_looking_keeps_the_rate_of_false_alarms() -> None:
    """Of simulated experiments without any effect, 3 to 5 % ever stop early or end as clear.

    The other primary contrast shares the cleaned arm, and Holm counts it.
    """
    rng = np.random.default_rng(3)
    alarms = []
    for _ in range(SIMULATIONS):
        runs = {arm: rng.normal(0, 1, LOOKS[-1]) for arm in ("raw", "cleaned", "random_drop")}
        cut = ({arm: one[:count] for arm, one in runs.items()} for count in LOOKS)
        alarms.append(any(take_look(_Values(one), LOOKS)["crossed"] for one in cut))
    noise = 2 * (0.05 * 0.95 / SIMULATIONS) ** 0.5
    assert 0.025 - noise < np.mean(alarms) <= 0.05 + noise


@pytest.mark.parametrize(("looks", "said"), [((3, 6), "too few"), ((6, 6), "looks must rise")])
def test_looks_that_give_no_verdict_are_refused(looks: tuple[int, ...], said: str) -> None:
    """Fewer than five seeds, or counts that do not rise, are one clear error."""
    with pytest.raises(TrainingError, match=said):
        ExperimentOptions(looks=looks)


def test_a_decay_is_counted() -> None:
    """A curve that ends before the decay, at 80 of 100 steps, tells four fifths of the time."""
    zeros = np.zeros(2)
    run = Run("raw", 0, 9, np.array([0, 80]), zeros.astype(int), np.array([0.0, 4.0]), zeros, zeros,
              zeros, zeros.astype(np.int16), 0.0, 0.0, 0.0)  # fmt: skip
    recipe = Recipe("train", 100, 8, 0.1, 0.0, schedule="wsd")
    assert spent_cpu_s([run, run], recipe) == pytest.approx(10.0)
    assert spent_cpu_s([run], replace(recipe, schedule="constant")) == 4.0


def test_the_report_counts_a_decay(tmp_path: Path) -> None:
    """The tier's CPU seconds are more than its curves show by what the decay takes."""
    options = replace(OPTIONS, looks=(), seeds=2, recipe={"schedule": "wsd", "decay_share": 0.5})
    done = compare(_comparison(planted=True), options, tmp_path)
    tier = done.report["tiers"]["train"]
    ends = done.curves.group_by("arm", "seed").agg(pl.col("cpu_s").last())["cpu_s"].sum()
    assert tier["cpu_s"] - tier["prepared_s"] == pytest.approx(2 * ends)
    assert RECIPE.stable_steps == RECIPE.steps
