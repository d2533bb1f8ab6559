"""What the experiment measured, as plain data: tiers, arms, effects, speed-ups."""

from __future__ import annotations

from typing import Any

from flows.report.figures import number, signed
from flows.report.looks import describe_look, describe_yardstick

ARMS = ("raw", "raw_again", "cleaned", "random_drop", "oracle")
DRAWN = (*ARMS, "raw_filled")  # arms that have a learning curve on the page
ACCURACY = ("final_acc", "verified_acc", "worst_class_acc", "aulc", "ece")
ACCURACY_KEYS = ("estimate", "low", "high", "mde", "margin", "low_new", "high_new")
CONTRASTS = (
    ("cleaned", "raw"),
    ("cleaned", "random_drop"),
    ("raw_again", "raw"),
    ("random_drop", "raw"),
    ("oracle", "raw"),
    ("raw_filled", "raw"),
    ("cleaned", "raw_filled"),
)
LISTS = (
    "arms", "effects", "speedups", "speedup_curve", "per_class", "per_class_verified", "targets",
    "churn", "break_even", "shapley",
)  # fmt: skip
DOCUMENTS = ("verdict", "recipe", "recovered", "data_equivalent", "dose", "says")
APART = ("look", "device_probe", "processes", "packing")  # told apart, the last three by machine
SET_ARM = "set:"


def describe_experiment(experiment: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return tiers with arms and effects; arms' accuracies as fractions, effects in points (pp).

    Returns:
        primary (the tier that gives the verdict), seeds, facts, audit, agreement, yardstick (where
        measured) and tiers [{tier, arms, effects, facts, look (where looked at), commonest ({label,
        accuracy, verified_acc, beaten} of always answering the class that most test items have;
        None where classes are unknown), and what LISTS and DOCUMENTS name}]. Churn, Shapley values
        and doses are in points too. Arms of sets of groups are left out: their Shapley values tell
        of them.
    """
    if not experiment:
        return None
    facts = experiment.get("facts") or {}
    trees = sorted(describe_yardstick(facts), key=lambda row: rank_arm(str(row["arm"])))
    return {
        **({"yardstick": trees} if trees else {}),
        "primary": name_primary(experiment),
        "seeds": experiment.get("seeds"),
        "facts": facts,
        "audit": _describe_audit(experiment.get("audit") or {}),
        "agreement": experiment.get("agreement") or {},
        "tiers": [_describe_tier(name, tier) for name, tier in _ranked(experiment)],
    }


def _ranked(experiment: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the tiers, the one that gives the verdict first."""
    primary, tiers = name_primary(experiment), experiment.get("tiers") or {}
    return sorted(tiers.items(), key=lambda item: (item[0] != primary, item[0]))


def name_primary(experiment: dict[str, Any]) -> str | None:
    """Name the tier that speaks: the one the experiment says, else any before the probe.

    >>> name_primary({"tiers": {"probe": {}, "train": {}}})
    'train'
    """
    tiers = experiment.get("tiers") or {}
    said = experiment.get("primary_tier")
    return (
        said if said in tiers else next(iter(sorted(tiers, key=lambda name: name == "probe")), None)
    )


def _describe_audit(audit: dict[str, Any]) -> dict[str, Any]:
    """Return the A/A interval in points, and the rest as it is."""
    bounds = audit.get("aa_interval")
    if not isinstance(bounds, list):
        return dict(audit)
    points = [None if number(one) is None else 100 * one for one in bounds]
    return {**audit, "aa_interval": points}


def _describe_tier(name: str, tier: dict[str, Any]) -> dict[str, Any]:
    lists: dict[str, Any] = {key: list(tier.get(key) or []) for key in LISTS}
    lists["arms"].sort(key=lambda arm: rank_arm(str(arm.get("arm"))))
    lists["arms"] = [arm for arm in lists["arms"] if not str(arm.get("arm")).startswith(SET_ARM)]
    lists["effects"] = [in_points(effect) for effect in lists["effects"]]
    lists["churn"] = [_scale_churn(row) for row in lists["churn"]]
    lists["shapley"] = [_scale(row) for row in lists["shapley"]]
    known = {*LISTS, *DOCUMENTS, *APART}
    facts = {key: tier[key] for key in sorted(tier) if key not in known and key[-2:] != "_s"}
    documents = {key: tier.get(key) or {} for key in DOCUMENTS}
    documents["dose"] = _scale_dose(documents["dose"])
    documents["commonest"] = _name_commonest(lists)
    if look := describe_look(tier.get("look")):
        documents["look"] = look
    return {"tier": name, **lists, **documents, "facts": facts}


def _name_commonest(lists: dict[str, Any]) -> dict[str, Any] | None:
    """Return what always answering one class is right for, and whether any arm does better."""
    counts = {row.get("class"): int(row.get("n_test") or 0) for row in lists["per_class"]}
    if not sum(counts.values()):
        return None
    label = max(counts, key=lambda name: counts[name])
    accuracy = counts[label] / sum(counts.values())
    true = {row.get("class"): int(row.get("n_test") or 0) for row in lists["per_class_verified"]}
    means = [number(arm.get("final_acc_mean")) for arm in lists["arms"] if arm.get("arm") in ARMS]
    return {
        "label": label, "accuracy": accuracy,
        "verified_acc": true.get(label, 0) / sum(true.values()) if sum(true.values()) else None,
        "beaten": any(mean is not None and mean > accuracy for mean in means),
    }  # fmt: skip


def rank_arm(arm: str) -> tuple[int, str]:
    """Return the sort key that puts raw first and arms that we do not know last."""
    return (ARMS.index(arm) if arm in ARMS else len(ARMS), arm)


def in_points(effect: dict[str, Any]) -> dict[str, Any]:
    """Return an effect with accuracies in percentage points, whatever unit they came in.

    >>> in_points({"endpoint": "final_acc", "estimate": 0.02, "unit": "fraction"})["estimate"]
    2.0
    """
    unit = str(effect.get("unit") or "fraction")
    if effect.get("endpoint") not in ACCURACY or unit != "fraction":
        return dict(effect)
    told = (key for key in ACCURACY_KEYS if number(effect.get(key)) is not None)
    return {**effect, **{key: 100 * effect[key] for key in told}, "unit": "pp"}


def _scale(row: dict[str, Any]) -> dict[str, Any]:
    return in_points({**row, "endpoint": "final_acc"})


def _scale_churn(row: dict[str, Any]) -> dict[str, Any]:
    excess = row.get("excess")
    more = {"excess": _scale(excess)} if isinstance(excess, dict) else {}
    return {**_scale(row), **more}


def _scale_dose(dose: dict[str, Any]) -> dict[str, Any]:
    if not dose:
        return {}
    steps = [_scale(step) for step in dose.get("doses") or []]
    return {**dose, "doses": steps, "trend": _scale(dose.get("trend") or {})}


def find_effect(
    tier: dict[str, Any], arm: str, versus: str, endpoint: str = "final_acc"
) -> dict[str, Any] | None:
    """Return one contrast of a described tier, None if it was not measured."""
    wanted = (arm, versus, endpoint)
    for effect in tier["effects"]:
        if (effect.get("arm"), effect.get("versus"), effect.get("endpoint")) == wanted:
            return dict(effect)
    return None


def interval(effect: dict[str, Any], digits: int = 2) -> str:
    """Return an effect as text: estimate, unit and 95 % interval.

    >>> interval({"estimate": 1.0, "low": 0.5, "high": 1.5, "unit": "pp"})
    '+1.00 pp [+0.50, +1.50]'
    """
    unit = str(effect.get("unit") or "")
    return f"{signed(number(effect.get('estimate')), unit, digits)} {bounds(effect, digits)}"


def bounds(effect: dict[str, Any], digits: int = 2, low: str = "low", high: str = "high") -> str:
    """Return an effect's interval as text.

    >>> bounds({"low": -0.5, "high": 1.5})
    '[\u22120.50, +1.50]'
    """
    ends = (signed(number(effect.get(key)), digits=digits) for key in (low, high))
    return f"[{', '.join(ends)}]"
