"""A made-up experiment: curves, effects, worth, and its verdict, in the keys of experiment.json."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

ARMS = {"raw": 0.0, "raw_again": 0.0006, "cleaned": 0.016, "random_drop": -0.004, "oracle": 0.024}
TIERS = {"train": (0.9, 0.006), "probe": (0.86, 0.004)}
SEEDS, STEPS = 8, (0, 30, 60, 120, 180, 240, 300, 360, 420, 480)


def make_curves(rng: np.random.Generator) -> pl.DataFrame:
    """Return tables.Curves of two tiers, five arms and eight seeds."""
    rows = []
    for tier, (top, noise) in TIERS.items():
        for seed in range(SEEDS):
            luck = rng.normal(0, noise)
            for arm, gain in ARMS.items():
                for step in STEPS:
                    reach = 0.1 + (top + gain - 0.1) * (1 - np.exp(-step / 90))
                    accuracy = float(np.clip(reach + luck + rng.normal(0, noise / 2), 0, 1))
                    rows.append({
                        "tier": tier, "arm": arm, "seed": seed, "step": step,
                        "samples": step * 64, "cpu_s": step / 50, "wall_s": step / 90,
                        "val_acc": accuracy, "val_nll": 1.5 - accuracy,
                        "test_acc": accuracy if step == STEPS[-1] else None, "test_nll": None,
                    })  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"test_acc": pl.Float64, "test_nll": pl.Float64})


def make_effects(noise: float) -> list[dict[str, Any]]:
    """Return effects as the experiment writes them: fractions, nats and steps."""
    half = 1.2 * noise
    contrasts = (("cleaned", "raw"), ("cleaned", "random_drop"), ("raw_again", "raw"),
                 ("random_drop", "raw"), ("oracle", "raw"))  # fmt: skip
    rows = []
    for arm, versus in contrasts:
        for endpoint, unit, per in (("final_acc", "fraction", 1), ("rmst_steps", "steps", -1500)):
            size, wide = (ARMS[arm] - ARMS[versus]) * per, half * abs(per) * 0.6 ** (per != 1)
            rows.append({
                "arm": arm, "versus": versus, "endpoint": endpoint, "unit": unit, "n": SEEDS,
                "estimate": size, "low": size - wide, "high": size + wide, "mde": 1.1 * wide,
                "p": 0.71 if arm == "raw_again" else 0.0008, "rho": 0.62,
            })  # fmt: skip
            if endpoint == "final_acc":
                rows[-1] |= {"low_new": size - 1.8 * half, "high_new": size + 1.8 * half}
            if endpoint == "final_acc" and arm == "cleaned":
                rows[-1]["p_holm"] = 0.0016
    return rows


def make_tier(top: float, noise: float) -> dict[str, Any]:
    """Return one tier of an experiment.json."""
    half = 1.2 * noise
    arms = [
        {"arm": arm, "n_train": 96 - 8 * (arm in ("cleaned", "random_drop")),
         "final_acc_mean": top + gain, "final_acc_low": top + gain - half,
         "final_acc_high": top + gain + half, "aulc_mean": top + gain - 0.11,
         "worst_class_acc_mean": top - 0.2 + gain, "verified_acc_mean": top + 1.1 * gain}
        for arm, gain in ARMS.items()
    ]  # fmt: skip
    speedups = [
        {"arm": "cleaned", "versus": "raw", "q": q, "accuracy": q * top, "ratio": 1 + q**8 / 2,
         "low": 1.02, "high": 1 + q**8, "at_least": q == 1.0, "reached": SEEDS, "n": SEEDS,
         "reached_versus": 6 if q == 1.0 else SEEDS, "saved_steps": 90 * q**8}
        for q in (0.5, 0.75, 0.9, 0.95, 1.0)
    ]  # fmt: skip
    curve = [
        {**speedups[0], "q": q / 20, "accuracy": q * top / 20, "ratio": 1 + (q / 20) ** 8 / 2,
         "low": 1 + (q / 20) ** 8 / 4, "high": 1 + (q / 20) ** 8, "at_least": q > 18}
        for q in range(6, 21)
    ]  # fmt: skip
    return {
        "arms": arms, "effects": make_effects(noise), "speedups": speedups,
        "speedup_curve": curve, **make_worth(top, half),
        "targets": [{"q": 1.0, "accuracy": top}],
        "recovered": {"fraction": 0.71, "low": 0.44, "high": 1.02},
        "verdict": {"word": "helps", "speedup": speedups[-1]}, "steps": STEPS[-1],
        "batch_size": 64, "recipe": {"optimiser": "sgd", "lr": 0.05}, "cpu_s": 91.5,
        "per_class": [{"class": str(k), "n_test": 20, "raw": 0.9, "cleaned": 0.915}
                      for k in range(10)],
    }  # fmt: skip


def make_worth(top: float, half: float) -> dict[str, Any]:
    """Return what a tier tells beside its verdict: churn, break-even, groups, doses, words."""

    def around(middle: float) -> dict[str, Any]:
        told = {"estimate": middle, "low": middle - half, "high": middle + half}
        return {**told, "p": 0.01, "n": SEEDS, "mde": 1.1 * half}

    again = {"arm": "raw_again", "versus": "raw", **around(0.11)}
    churn = {"arm": "cleaned", "versus": "raw", **around(0.12), "excess": around(0.01)}
    paid = {"q": 1.0, "accuracy": top, "word": "pays", "trainings": 3.2, "low": 2.1, "high": 6.4,
            "n": SEEDS, "cleaning_cpu_s": 120.0, "at_most": True}  # fmt: skip
    equivalent = {"samples": 150.0, "factor": 1.56, "low": 1.2, "high": 2.1, "exponent": 0.5,
                  "limit": 0.95, "n": SEEDS, "refused": ""}  # fmt: skip
    groups = [{"group": name, **around(part), "p_by": 0.02}
              for name, part in (("copies", 0.004), ("labels", 0.012))]  # fmt: skip
    doses = [{"dose": dose, "arm": f"dose:{dose}", "final_acc": top + 0.016 * dose,
              **around(0.016 * dose)} for dose in (0.0, 0.5, 1.0)]  # fmt: skip
    return {
        "churn": [again, churn], "break_even": [{**paid, "q": 0.5, "word": "never",
                                                 "trainings": None, "low": None, "high": None},
                                                paid],
        "data_equivalent": equivalent, "shapley": groups,
        "dose": {"doses": doses, "trend": around(0.016), "rises": True},
        "says": {"break_even": "Cleaning cost 120 CPU seconds, paid for after at most 4 trainings.",
                 "churn": "Cleaning changes the predicted class of 12.0 % of the test items."},
    }  # fmt: skip


def make_experiment() -> dict[str, Any]:
    """Return an experiment.json in which cleaning helps by 1.6 points."""
    tiers = {tier: make_tier(*facts) for tier, facts in TIERS.items()}
    sentence = (
        "Cleaning helps: +1.6 points of test accuracy (95 % interval +0.9 to +2.3, 8 paired "
        "seeds), and it reaches raw's final accuracy at least 1.5x sooner. Against a random drop "
        "of the same size it is +2.0 (+1.3 to +2.7) points. Interval on new data +0.3 to +2.9."
    )
    return {
        "device": "cpu", "versions": {"torch": "2.13.0"}, "seeds": SEEDS, "primary_tier": "train",
        "facts": {"dropped": 10, "relabelled": 0}, "tiers": tiers,
        "verdict": {**tiers["train"]["verdict"], "sentence": sentence, "margin": 0.003},
        "agreement": {"sign": True, "words": {"probe": "helps", "train": "helps"},
                      "sentence": "Both tiers point the same way (probe: helps, train: helps)."},
        "audit": {"aa_interval": [-0.0066, 0.0078], "aa_holds_zero": True, "test_digest": "c" * 32},
    }  # fmt: skip
