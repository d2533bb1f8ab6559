from dataclasses import replace

import numpy as np
import pytest

from tests.training.made_runs import STEPS, answer, judged
from training.effects import judge_tier, pick
from training.judged import Judged
from training.speedups import freeze_targets
from training.statistics import benjamini_yekutieli
from training.wording import describe


def test_a_planted_gain_is_found_and_told() -> None:
    """A gain of four points gives `helps`, its interval and the speed-up, in one sentence."""
    verdict = judge_tier(judged(0.04, speed=2.0))["verdict"]
    assert verdict["word"] == "helps"
    assert verdict["low"] < 0.04 < verdict["high"]
    assert verdict["sentence"].startswith("Cleaning helps: +")
    assert "sooner" in verdict["sentence"]
    assert "8 paired seeds" in verdict["sentence"]


def test_a_planted_loss_hurts() -> None:
    """A loss of four points gives `hurts`."""
    assert judge_tier(judged(-0.04))["verdict"]["word"] == "hurts"


def test_too_few_seeds_never_give_a_verdict() -> None:
    """Under five seeds the report describes and stays undecided, whatever the difference."""
    assert judge_tier(judged(0.04, seeds=3))["verdict"]["word"] == "undecided"


def test_equal_runs_are_equivalence_and_equal_arms_no_change() -> None:
    """Identical runs are equivalent; that nothing was changed is said of equal arms alone."""
    one = judged(0.0)
    same = replace(one, runs={**one.runs, "cleaned": one.runs["raw"]})
    verdict = judge_tier(same)["verdict"]
    assert verdict["word"] == "equivalent"
    assert "no difference that matters" in verdict["sentence"]
    untouched = judge_tier(replace(same, unchanged=True))["verdict"]
    assert untouched["word"] == "equivalent"
    assert untouched["sentence"].startswith("Cleaning changed nothing that training sees")


def test_a_noisy_nothing_is_undecided_with_its_detectable_difference() -> None:
    """Where the noise drowns the margin the verdict names what these seeds could have found."""
    verdict = judge_tier(judged(0.0, noise=0.03, key=3))["verdict"]
    assert verdict["word"] == "undecided"
    assert verdict["mde"] > 0.01
    assert "these seeds find differences of" in verdict["sentence"]


def test_simulated_nulls_rarely_raise_an_alarm() -> None:
    """Of 60 comparisons without an effect, at most 6 are called helpful or harmful."""
    words = [
        judge_tier(judged(0.0, noise=0.02, seeds=6, key=key, items=500))["verdict"]["word"]
        for key in range(60)
    ]
    assert sum(word in ("helps", "hurts") for word in words) <= 6


def test_targets_come_from_the_pilots_alone() -> None:
    """Treating the compared arms differently moves no target."""
    one, other = judged(0.0), judged(0.1)
    for judged_ in (one, other):
        judged_.runs["raw_pilot"][:] = one.runs["raw_pilot"]
    assert freeze_targets(one) == freeze_targets(other)
    assert [t["q"] for t in freeze_targets(one)] == [0.5, 0.75, 0.9, 0.95, 1.0]


def test_a_model_no_better_than_chance_has_no_targets() -> None:
    """Where raw does not beat chance there is no time to target, and the report still stands."""
    one = judged(0.0)
    report = judge_tier(Judged(one.runs, one.labels, one.classes, chance=0.99))
    assert report["targets"] == []
    assert report["speedups"] == []
    assert report["verdict"]["speedup"] is None


def test_effects_have_every_contrast_and_field() -> None:
    """Each contrast reports each endpoint with interval, p, n, detectable effect and unit."""
    report = judge_tier(judged(0.01))
    fields = {"arm", "versus", "endpoint", "estimate", "low", "high", "p", "n", "mde", "unit"}
    assert all(fields <= set(effect) for effect in report["effects"])
    assert len(report["effects"]) == 4 * 7
    again = pick(report["effects"], "raw_again", "raw")
    assert again["low"] <= 0 <= again["high"]
    main = pick(report["effects"], "cleaned", "raw")
    assert main["high_new"] - main["low_new"] >= main["high"] - main["low"]


def test_the_oracle_gives_the_recovered_share() -> None:
    """Cleaning that reaches half of the oracle's gain over the control recovers about half."""
    one, top = judged(0.04), judged(0.08, key=1)
    runs = {**one.runs, "oracle": top.runs["cleaned"]}
    recovered = judge_tier(Judged(runs, one.labels, one.classes, one.chance))["recovered"]
    assert recovered is not None
    assert recovered["low"] < 0.5 < recovered["high"]


def test_verified_labels_have_effects_of_their_own() -> None:
    """Where labels were corrected, the effect on them stands beside that on the given ones."""
    one = judged(0.04)
    true = np.where(np.arange(one.labels.size) < 200, 1, one.labels)
    report = judge_tier(replace(one, verified=true))
    given, checked = (
        pick(report["effects"], "cleaned", "raw", name) for name in ("final_acc", "verified_acc")
    )
    assert checked["low"] < 0.04 * 0.9 < checked["high"]
    assert checked["estimate"] != given["estimate"]
    assert checked["high_new"] - checked["low_new"] > checked["high"] - checked["low"]
    assert [row["class"] for row in report["per_class_verified"]] == ["yes", "no"]
    assert report["arms"][0]["verified_acc_low"] < report["arms"][0]["verified_acc_mean"]


def test_churn_of_cleaning_stands_beside_that_of_another_seed() -> None:
    """Independent predictions churn alike in both; the excess over A/A then holds zero."""
    report = judge_tier(judged(0.0))
    again, main = report["churn"][:2]
    assert again["low"] < 2 * 0.8 * 0.2 < again["high"]
    assert main["excess"]["low"] < 0 < main["excess"]["high"]
    assert "is not shown to differ" in report["says"]["churn"]


@pytest.mark.parametrize(
    ("speed", "cost", "said"),
    [
        (2.0, 1.0, "paid for after"),
        (2.0, 1e-9, "the first training pays for it"),
        (0.5, 1.0, "on time alone it never pays"),
        (1.0, 1.0, "whether it saves time"),
    ],
)
def test_break_even_is_told_in_words(speed: float, cost: float, said: str) -> None:
    """Cleaning that pays, pays at once, never does or may not is said so in one sentence."""
    one = judged(0.0, speed=speed, noise=0.001)
    runs = {
        arm: [replace(run, cpu_s=run.steps * 1e-3) for run in mine]
        for arm, mine in one.runs.items()
    }
    runs["raw_pilot"] = [replace(run, val_acc=run.val_acc - 0.03) for run in runs["raw_pilot"]]
    told = judge_tier(replace(one, runs=runs, cleaning_cpu_s=(cost,)))
    assert said in told["says"]["break_even"]
    assert len(told["break_even"]) == len(told["targets"])
    assert judge_tier(one)["break_even"] == []


def test_break_even_counts_all_parts_and_tells_the_last() -> None:
    """Data that came in three parts has cost all of them; the last is told beside the sum."""
    one = judged(0.0, speed=2.0, noise=0.001)
    whole = judge_tier(replace(one, cleaning_cpu_s=(60.0,)))
    parts = judge_tier(replace(one, cleaning_cpu_s=(40.0, 5.0, 15.0)))
    for row, other in zip(whole["break_even"], parts["break_even"], strict=True):
        assert (row["trainings"], row["cleaning_cpu_s"]) == (other["trainings"], 60.0)
        assert (other["parts"], other["last_part_cpu_s"]) == (3, 15.0)
    said = parts["says"]["break_even"]
    assert said.startswith("Cleaning cost 60 CPU seconds (15 for the last of 3 parts of the data)")


def test_raw_subsets_give_a_forecast_or_its_refusal() -> None:
    """Arms of raw subsets on a bending curve give the equivalent as a labelled forecast."""
    one, arms = judged(0.02, noise=0.0), {"raw:0.25": 0.6, "raw:0.5": 0.72, "raw": 0.8}
    for arm, accuracy in {**arms, "cleaned": 0.82}.items():
        runs = [replace(run, arm=arm) for run in one.runs["raw"]]
        one = _fixed(replace(one, runs={**one.runs, arm: runs}), arm, round(accuracy * 4000))
    report = judge_tier(one)
    assert report["data_equivalent"]["refused"] == ""
    assert report["data_equivalent"]["factor"] > 1
    assert report["says"]["data_equivalent"].startswith("Forecast: raw data would have to be 1.")


def test_the_speedup_curve_rises_over_targets_and_marks_its_censored_end() -> None:
    """A faster arm's curve holds its speed at the targets; beyond raw's reach it is a bound."""
    curve = judge_tier(judged(0.03, speed=2.0, noise=0.002))["speedup_curve"]
    assert [row["q"] for row in curve] == sorted(row["q"] for row in curve)
    middle = next(row for row in curve if row["q"] == 0.75)
    assert middle["low"] < 2.2 < middle["high"] or middle["ratio"] == pytest.approx(2.2, abs=0.4)
    assert curve[-1]["at_least"]
    assert curve[-1]["reached"] > curve[-1]["reached_versus"]


def test_classes_are_reported_one_by_one() -> None:
    """Each class with test items has its accuracies; a class without any is left out."""
    rows = judge_tier(replace(judged(0.04), classes=("yes", "no", "never")))["per_class"]
    assert [row["class"] for row in rows] == ["yes", "no"]
    assert rows[0]["cleaned"] - rows[0]["raw"] == pytest.approx(rows[0]["estimate"])


def _fixed(one: Judged, arm: str, hits: int) -> Judged:
    """The same runs, but `arm` gets exactly `hits` test items right in every seed."""
    pred = answer(np.arange(one.labels.size) < hits)
    runs = [replace(run, test_pred=pred) for run in one.runs[arm]]
    return replace(one, runs={**one.runs, arm: runs})


def test_a_test_set_of_two_items_proves_nothing() -> None:
    """Equal accuracies on two items are neither equivalence nor equal runs, but undecided."""
    one = _fixed(_fixed(judged(0.0, items=2), "raw", 2), "cleaned", 2)
    verdict = judge_tier(one)["verdict"]
    assert verdict["word"] == "undecided"
    assert verdict["mde"] > 0.1
    assert "changed nothing" not in verdict["sentence"]


def test_equivalent_means_that_the_interval_told_lies_inside() -> None:
    """Where the 95 % interval leaves the margin the verdict never says equivalent."""
    words = []
    for key in range(40):
        one = judged(0.001, noise=0.0005, items=40_000, key=key)
        verdict = judge_tier(one)["verdict"]
        inside = -one.margin < verdict["low"] and verdict["high"] < one.margin
        assert (verdict["word"] == "equivalent") == inside
        words.append(verdict["word"])
    assert len(set(words)) > 1


def test_few_seeds_are_named_as_the_reason() -> None:
    """Under five seeds the sentence says so, and speaks neither of power nor of speed."""
    sentence = judge_tier(judged(0.04, seeds=3, speed=2.0))["verdict"]["sentence"]
    assert sentence.endswith("; a verdict needs 5 seeds or more.")


def test_the_detectable_effect_passes_the_correction_too() -> None:
    """A primary contrast's detectable effect is that of Holm's first step, at half of .05."""
    effects = judge_tier(judged(0.0))["effects"]
    main, again = pick(effects, "cleaned", "raw"), pick(effects, "raw_again", "raw")
    sd = [(e["high"] - e["low"]) / e["n"] ** -0.5 for e in (main, again)]
    assert main["mde"] / sd[0] > 1.1 * again["mde"] / sd[1]


def test_runs_that_never_arrive_have_no_detectable_difference() -> None:
    """Where nothing varied in either arm, no detectable effect is claimed."""
    one = judged(0.0)
    flat = [replace(r, val_acc=np.full(STEPS.size, 0.55)) for r in one.runs["raw"]]
    runs = {**one.runs, **dict.fromkeys(("raw", "cleaned"), flat)}
    effects = judge_tier(replace(one, runs=runs))["effects"]
    assert pick(effects, "cleaned", "raw", "rmst_steps")["mde"] is None


def test_a_control_that_drops_nothing_is_called_raw() -> None:
    """When cleaning only relabels, the sentence does not repeat raw as a random drop."""
    one = judged(0.04)
    same = replace(one, runs={**one.runs, "random_drop": one.runs["raw"]})
    assert "raw itself is the control" in judge_tier(same)["verdict"]["sentence"]


def test_a_control_that_is_raw_makes_one_hypothesis() -> None:
    """Holm counts it once: p stands as it is, and a p between .025 and .05 gives a verdict."""
    one = _between(judged(0.0))
    same = replace(one, runs={**one.runs, "random_drop": one.runs["raw"]})
    report = judge_tier(same)
    main, control = (pick(report["effects"], "cleaned", over) for over in ("raw", "random_drop"))
    assert 0.025 < main["p"] < 0.05
    assert main["p"] == main["p_holm"] == control["p_holm"] == report["verdict"]["p"]
    assert report["verdict"]["word"] == "helps"
    corrected = pick(judge_tier(one)["effects"], "cleaned", "raw")
    assert corrected["p_holm"] > 0.05
    assert corrected["mde"] > 1.1 * main["mde"]


def _between(one: Judged) -> Judged:
    """The same runs, but cleaned is ahead of raw by so many items that p is near .035."""
    gains = np.array([75, -5, 45, 15, 55, -15, 35, 19])
    for arm, hits in (("raw", np.full(8, 3200)), ("cleaned", 3200 + gains)):
        for seed, count in enumerate(hits):
            pred = answer(np.arange(one.labels.size) < count)
            one.runs[arm][seed] = replace(one.runs[arm][seed], test_pred=pred)
    return one


def test_checks_alone_left_out_and_doses_are_adjusted_together() -> None:
    """Each endpoint's family has Benjamini's and Yekutieli's p; other contrasts have none."""
    one, names = judged(0.0), ("only:a", "only:b", "without:a", "without:b", "dose:0.5")
    runs = {name: judged(0.0, key=key).runs["cleaned"] for key, name in enumerate(names, 1)}
    effects = judge_tier(replace(one, runs={**one.runs, **runs}))["effects"]
    for endpoint in ("final_acc", "nll", "aulc"):
        rows = [row for row in effects if row["endpoint"] == endpoint]
        family = [row for row in rows if {row["arm"], row["versus"]} & set(names)]
        assert len(family) == len(names)
        adjusted = benjamini_yekutieli([row["p"] for row in family])
        assert [row["p_by"] for row in family] == adjusted
        assert sum("p_by" in row for row in rows) == len(names)


def test_the_share_of_a_gain_read_on_few_items_has_a_width() -> None:
    """Cleaned one item and the oracle two ahead in every seed: half, but not exactly half."""
    one = judged(0.0, items=20)
    one = replace(one, runs={**one.runs, "oracle": one.runs["raw"]})
    for arm, hits in (("random_drop", 10), ("cleaned", 12), ("oracle", 14)):
        one = _fixed(one, arm, hits)
    told = judge_tier(one)["recovered"]
    assert told is not None
    assert told["low"] < told["fraction"] - 0.05 < 0.5 < told["fraction"] + 0.05 < told["high"]


@pytest.mark.parametrize(
    ("word", "ratio", "bound", "said"),
    [
        ("hurts", 0.5, "at_most", ", and it takes at least 2x as long to raw's"),
        ("hurts", 2.0, "", ", but it reaches raw's final accuracy 2x sooner"),
        ("helps", 1.04, "", ", and it reaches raw's final accuracy 1.04x sooner"),
        ("helps", 0.8, "", ", but it takes 1.2x as long to raw's"),
        ("helps", 2.0, "at_least", "final accuracy at least 2x sooner"),
        ("undecided", 2.0, "", " or more. Training on the cleaned data reaches raw's"),
        ("equivalent", 0.5, "", "+-0.3. Training on the cleaned data takes 2x as long"),
    ],
)
def test_speed_is_told_in_good_english(word: str, ratio: float, bound: str, said: str) -> None:
    """Every verdict speaks of a faster or slower arm in a whole sentence, as a bound if it is."""
    verdict = judge_tier(judged(0.04))["verdict"]
    told = {"at_least": bound == "at_least", "at_most": bound == "at_most"}
    speedup = {"ratio": ratio, "low": 0.98 * ratio, "high": 1.02 * ratio, **told}
    assert said in describe({**verdict, "word": word, "speedup": speedup})
