import random
from collections import Counter

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checks.core.policy import Policy, decide
from checks.core.policy_caps import allowed
from checks.core.words import OUTCOMES

CHECKS = {
    "exact_duplicate": ("duplicate", "drop"),
    "near_duplicate": ("duplicate", "drop"),
    "cross_split_leak": ("leak", "drop"),
    "unlikely_label": ("incorrect", "drop"),
    "conflicting_labels": ("incorrect", "relabel"),
    "blurry": ("low_quality", "drop"),
    "too_dark": ("low_quality", "down_weight"),
    "odd_size": ("low_quality", "review"),
    "rare_typo": ("incorrect", "repair"),
    "mixed_unit": ("incorrect", "repair"),
    "unreadable": ("missing", "drop"),
    "missing_label": ("missing", "drop"),
}
ACTIONS = {check: action for check, (_, action) in CHECKS.items()}
PEOPLE = ("sample_id", "action", "new_label", "decided_by")
CELLS = ("rare_typo", "mixed_unit")
quick = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def key(index: int) -> str:
    """Return the sample_id of sample number `index`."""
    return f"{index:032x}-0"


@st.composite
def situations(draw: st.DrawFn) -> dict[str, pl.DataFrame | Policy]:
    """A set of up to 40 samples, findings on them, scores, a policy and a few overrides."""
    count = draw(st.integers(1, 40))
    chance = random.Random(draw(st.integers(0, 2**32)))  # noqa: S311
    labels = [
        chance.choice(["a", "b", "b", "b", None if chance.random() < 0.1 else "c"])
        for _ in range(count)
    ]
    splits = chance.choices(["train", "val", "test"], [8, 1, 1], k=count)
    rows = {}
    for _ in range(draw(st.integers(0, 3 * count))):
        index, check = chance.randrange(count), chance.choice(list(CHECKS))
        dimension = CHECKS[check][0]
        cell = chance.choice(["x", "y"]) if check in CELLS else None
        keeper = key(chance.randrange(count))
        suggestion = keeper if dimension in ("duplicate", "leak") else chance.choice(["a", "b"])
        severity = chance.choice(["info", "warning", "error"])
        rows[index, check, cell] = (
            key(index), check, cell, dimension, severity, 1.0, 0.5, "seen", suggestion,
        )  # fmt: skip
    names = ["sample_id", "check_id", "column", "dimension", "severity", "value", "threshold"]
    schema = dict.fromkeys((*names, "evidence", "suggestion"), pl.String)
    schema |= {"value": pl.Float64, "threshold": pl.Float64}
    people = [
        (
            key(index),
            chance.choice(["keep", "drop", "relabel", "review", "down_weight"]),
            "b",
            "ada",
        )
        for index in chance.sample(range(count), min(count, draw(st.integers(0, 3))))
    ]
    return {
        "samples": pl.DataFrame(
            {
                "sample_id": [key(index) for index in range(count)],
                "split": splits,
                "label": pl.Series(labels, dtype=pl.String),
                "uri": [f"{index}.png" for index in range(count)],
                "row": [0] * count,
                "byte_size": [1] * count,
                "xxh3_128": [f"{index:032x}" for index in range(count)],
            }
        ),
        "findings": pl.DataFrame(list(rows.values()), schema=schema, orient="row"),
        "scores": pl.DataFrame(
            {
                "sample_id": [key(index) for index in range(count)],
                "label_suspicion": [chance.random() for _ in range(count)],
            }
        ),
        "policy": Policy(
            max_drop_frac=chance.choice([0.0, 0.1, 0.5, 1.0]),
            max_class_drop_frac=chance.choice([0.15, 0.5, 1.0]),
            max_class_share_loss=chance.choice([0.05, 0.2, 1.0]),
            min_class_count=chance.choice([0, 3, 50]),
        ),
        "overrides": pl.DataFrame(
            people, schema=dict.fromkeys(PEOPLE, pl.String), orient="row"
        ),
    }  # fmt: skip


def judge(case: dict[str, pl.DataFrame | Policy]) -> pl.DataFrame:
    """Samples joined with their decisions."""
    verdict = decide(**case, actions=ACTIONS)
    return case["samples"].join(verdict.decisions, on="sample_id", validate="1:1")


@quick
@given(situations())
def test_every_sample_has_exactly_one_decision(case: dict[str, pl.DataFrame | Policy]):
    """Nothing vanishes and nothing is counted twice: outcomes add up to the samples."""
    verdict = decide(**case, actions=ACTIONS)
    assert verdict.decisions["sample_id"].to_list() == case["samples"]["sample_id"].to_list()
    counts = Counter(verdict.decisions["outcome"])
    assert {name: counts[name] for name in OUTCOMES} == verdict.facts["outcomes"]
    changed = verdict.decisions.filter(pl.col("outcome") == "repaired")["sample_id"]
    assert set(verdict.repairs["sample_id"]) <= set(changed)
    unchanged = verdict.decisions.filter(pl.col("action") != "relabel")
    assert unchanged["new_label"].null_count() == unchanged.height


@quick
@given(situations(), st.randoms())
def test_the_order_of_rows_changes_nothing(
    case: dict[str, pl.DataFrame | Policy], chance: random.Random
):
    """Shuffled tables give equal decisions, repairs and facts."""
    shuffled = dict(case)
    for name in ("samples", "findings", "scores", "overrides"):
        shuffled[name] = case[name].sample(fraction=1, shuffle=True, seed=chance.randrange(999))
    first, second = decide(**case, actions=ACTIONS), decide(**shuffled, actions=ACTIONS)
    assert first.decisions.equals(second.decisions)
    assert first.repairs.equals(second.repairs)
    assert first.facts == second.facts


@quick
@given(situations())
def test_validation_and_test_are_untouched_by_the_policy(case: dict[str, pl.DataFrame | Policy]):
    """Outside train the policy only keeps, proposes for review, or sets the unusable aside."""
    others = judge(case).filter((pl.col("split") != "train") & (pl.col("decided_by") == "policy"))
    assert set(others["action"]) <= {"keep", "review"}
    assert set(others["outcome"]) <= {"kept", "quarantined"}


@quick
@given(situations())
def test_caps_are_never_exceeded(case: dict[str, pl.DataFrame | Policy]):
    """What the policy takes out or relabels stays within the set, class and share caps."""
    policy = case["policy"]
    decided = judge(case).filter(
        (pl.col("split") == "train") & (pl.col("outcome") != "quarantined")
    )
    own = pl.col("decided_by") == "policy"
    acted = decided.filter(own & pl.col("action").is_in(["drop", "relabel"]))
    dropped = acted.filter(pl.col("action") == "drop").height
    assert acted.height <= allowed(policy.max_drop_frac, decided.height)
    before, left = Counter(decided["label"]), Counter(acted["label"])
    for name, size in before.items():
        assert left[name] <= allowed(policy.max_class_drop_frac, size)
        if left[name]:
            assert size >= policy.min_class_count
            least = (1 - policy.max_class_share_loss) * size * (decided.height - dropped)
            assert (size - left[name]) * decided.height >= least - 1e-9


@quick
@given(situations())
def test_people_win(case: dict[str, pl.DataFrame | Policy]):
    """A person's action stands, except for what cannot be read or has no label."""
    decided = judge(case).join(case["overrides"], on="sample_id", suffix="_said")
    for row in decided.iter_rows(named=True):
        useless = "unreadable" in row["check_ids"] or (
            row["label"] is None and row["action_said"] != "relabel"
        )
        if useless and row["action_said"] != "drop" and row["outcome"] == "quarantined":
            continue
        assert (row["action"], row["decided_by"]) == (row["action_said"], "ada")


@quick
@given(situations())
def test_a_dropped_copy_leaves_a_copy_behind(case: dict[str, pl.DataFrame | Policy]):
    """Whoever goes only for being a copy has another of its group that stays in the set."""
    findings = case["findings"]
    decided = judge(case)
    stays = set(decided.filter(~pl.col("outcome").is_in(["dropped", "quarantined"]))["sample_id"])
    copies = findings.filter(pl.col("dimension") == "duplicate").rows(named=True)
    asks = findings["check_id"].replace_strict(ACTIONS)
    other = findings.filter((asks == "drop") & (pl.col("dimension") != "duplicate"))
    reasons = set(other["sample_id"])
    gone = decided.filter((pl.col("outcome") == "dropped") & (pl.col("decided_by") == "policy"))
    for sample in set(gone["sample_id"]) - reasons:
        keepers = {c["suggestion"] for c in copies if c["sample_id"] == sample} | {sample}
        group = {c["sample_id"] for c in copies if c["suggestion"] in keepers} | keepers
        assert (group - {sample}) & stays


@quick
@given(situations())
def test_weights_follow_from_actions(case: dict[str, pl.DataFrame | Policy]):
    """Out of the set weighs 0, doubt weighs down_weight, everything else 1."""
    for row in judge(case).iter_rows(named=True):
        if row["outcome"] in ("dropped", "quarantined"):
            assert row["weight"] == 0
        elif row["action"] == "down_weight":
            assert row["weight"] == 0.25
        elif row["action"] != "repair":
            assert row["weight"] == 1
