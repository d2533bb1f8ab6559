import polars as pl
import pytest

from checks.core.errors import CheckError, TableError, UnknownNameError
from checks.core.policy import Policy, Verdict, decide

ACTIONS = {
    "unreadable": "drop",
    "exact_duplicate": "drop",
    "cross_split_leak": "drop",
    "unlikely_label": "drop",
    "conflicting_labels": "review",
    "too_dark": "down_weight",
    "blurry": "drop",
    "rare_typo": "repair",
    "mixed_unit": "repair",
    "odd_size": "keep",
}
DIMENSIONS = {
    "exact_duplicate": "duplicate",
    "cross_split_leak": "leak",
    "unlikely_label": "incorrect",
    "conflicting_labels": "incorrect",
    "rare_typo": "incorrect",
    "mixed_unit": "incorrect",
    "missing_label": "missing",
    "unreadable": "missing",
}
LOOSE = Policy(min_class_count=0, force=True, max_class_share_loss=1.0)


def key(index: int) -> str:
    """Return the sample_id of sample number `index`."""
    return f"{index:032x}-0"


def make_samples(count: int = 10, **columns: list[str | None]) -> pl.DataFrame:
    """`count` train samples of class `a` unless told otherwise."""
    return pl.DataFrame(
        {
            "sample_id": [key(index) for index in range(count)],
            "split": columns.get("split", ["train"] * count),
            "label": columns.get("label", ["a"] * count),
            "uri": [f"img/{index:04}.png" for index in range(count)],
            "row": [0] * count,
            "byte_size": [100] * count,
            "xxh3_128": [f"{index:032x}" for index in range(count)],
        },
        schema_overrides=dict.fromkeys(
            ("sample_id", "split", "label", "uri", "xxh3_128"), pl.String
        ),
    )


def make_findings(*hits: tuple[object, ...]) -> pl.DataFrame:
    """Findings from (sample, check, suggestion, column)."""
    rows = []
    for hit in hits:
        index, check, suggestion, column = (*hit, None, None)[:4]
        dimension = DIMENSIONS.get(check, "low_quality")
        rows.append(
            (key(index), check, column, dimension, "warning", None, None, "seen", suggestion)
        )
    names = ("sample_id", "check_id", "column", "dimension", "severity", "value", "threshold")
    floats = {"value": pl.Float64, "threshold": pl.Float64}
    schema = {name: floats.get(name, pl.String) for name in (*names, "evidence", "suggestion")}
    return pl.DataFrame(rows, schema=schema, orient="row")


def make_scores(**values: list[float | None]) -> pl.DataFrame:
    """Scores of the first samples, by column."""
    count = max((len(column) for column in values.values()), default=0)
    ids = pl.Series("sample_id", [key(index) for index in range(count)], pl.String)
    return pl.DataFrame([ids]).with_columns(**{n: pl.Series(v) for n, v in values.items()})


def make_overrides(*rows: tuple[int, str, str | None]) -> pl.DataFrame:
    """What the person `ada` decided, as (sample, action, new label)."""
    return pl.DataFrame(
        [(key(index), action, label, "ada") for index, action, label in rows],
        schema=["sample_id", "action", "new_label", "decided_by"],
        orient="row",
    )


def judge(
    samples: pl.DataFrame, findings: pl.DataFrame, scores: pl.DataFrame | None = None,
    policy: Policy = LOOSE, overrides: pl.DataFrame | None = None,
) -> Verdict:  # fmt: skip
    """Decide with the actions of this file."""
    if scores is None:
        scores = make_scores()
    return decide(samples, findings, scores, policy, ACTIONS, overrides)


def column(verdict: Verdict, name: str) -> dict[int, object]:
    """One column of the decisions by number of the sample."""
    ids = (int(sample[:32], 16) for sample in verdict.decisions["sample_id"])
    return dict(zip(ids, verdict.decisions[name].to_list(), strict=True))


def test_each_action_has_its_outcome_and_weight():
    """A finding's action, and nothing else, decides action, outcome and weight of a train row."""
    findings = make_findings(
        (1, "blurry"), (2, "too_dark"), (3, "conflicting_labels", "b"), (4, "odd_size"),
        (5, "rare_typo", "Boston", "city"), (6, "unreadable"), (7, "contract:age"),
    )  # fmt: skip
    verdict = judge(make_samples(8), findings)
    told = verdict.decisions.select("action", "outcome", "weight").rows()
    assert told == [
        ("keep", "kept", 1.0), ("drop", "dropped", 0.0), ("down_weight", "kept", 0.25),
        ("review", "kept", 1.0), ("keep", "kept", 1.0), ("repair", "repaired", 1.0),
        ("review", "quarantined", 0.0), ("review", "kept", 1.0),
    ]  # fmt: skip
    assert verdict.decisions["check_ids"].to_list()[1] == ["blurry"]


def test_validation_and_test_are_only_reviewed_or_quarantined():
    """Outside train nothing is dropped, relabelled, repaired or weighed down by the policy."""
    samples = make_samples(8, split=["test", "val"] * 4)
    findings = make_findings(
        (0, "blurry"), (1, "too_dark"), (2, "exact_duplicate", key(0)), (3, "unreadable"),
        (4, "unlikely_label", "b"), (4, "conflicting_labels", "b"), (5, "rare_typo", "x", "c"),
        (6, "missing_label"),
    )  # fmt: skip
    verdict = judge(samples, findings)
    outcomes = column(verdict, "outcome")
    assert [index for index, outcome in outcomes.items() if outcome != "kept"] == [3, 6]
    assert set(column(verdict, "action").values()) == {"review", "keep"}
    assert verdict.repairs.is_empty()


def test_a_missing_label_is_quarantined_only_in_a_labelled_set():
    """A gap among labels can be neither trained on nor scored; a set without labels has no gap."""
    verdict = judge(make_samples(3, label=["a", None, "a"]), make_findings())
    assert column(verdict, "outcome")[1] == "quarantined"
    assert column(verdict, "check_ids")[1] == ["missing_label"]
    free = judge(make_samples(3, label=[None] * 3), make_findings((1, "blurry")))
    assert list(column(free, "outcome").values()) == ["kept", "dropped", "kept"]


def test_one_of_each_group_of_copies_stays():
    """The keeper stays, and where it has a reason of its own to go the next copy stays."""
    copies = [(index, "exact_duplicate", key(0)) for index in (1, 2, 3)]
    verdict = judge(make_samples(4), make_findings(*copies))
    assert [i for i, action in column(verdict, "action").items() if action == "drop"] == [1, 2, 3]
    verdict = judge(make_samples(4), make_findings((0, "blurry"), *copies))
    assert [i for i, action in column(verdict, "action").items() if action == "keep"] == [1]


def test_two_copies_that_name_each_other_are_not_both_dropped():
    """A ring of duplicate findings between two checks leaves one sample."""
    findings = make_findings((0, "exact_duplicate", key(1)), (1, "exact_duplicate", key(0)))
    assert sorted(column(judge(make_samples(2), findings), "outcome").values()) == [
        "dropped",
        "kept",
    ]


def test_the_copy_with_the_undoubted_label_stays():
    """Where the keeper is the one with the wrong label, a copy with the right one is kept."""
    samples = make_samples(3, label=["b", "a", "a"])
    findings = make_findings(
        (0, "conflicting_labels", "a"),
        (1, "exact_duplicate", key(0)),
        (2, "exact_duplicate", key(0)),
    )
    outcomes = column(judge(samples, findings), "outcome")
    assert outcomes == {0: "dropped", 1: "kept", 2: "dropped"}


def test_a_quarantined_keeper_gives_way_to_its_copy():
    """A copy is not dropped for a keeper that is itself out of the set."""
    samples = make_samples(3, label=["a", "a", None])
    verdict = judge(samples, make_findings((0, "exact_duplicate", key(2))))
    assert column(verdict, "outcome")[0] == "kept"


def test_relabelling_needs_two_detectors_that_agree():
    """One voice drops, two relabel, two that differ do not, and the same label is no proposal."""
    findings = make_findings(
        (0, "unlikely_label", "b"), (1, "unlikely_label", "b"), (1, "conflicting_labels", "b"),
        (2, "unlikely_label", "b"), (2, "conflicting_labels", "c"),
        (3, "unlikely_label", "a"), (3, "conflicting_labels", "a"),
        (4, "unlikely_label", "b"), (4, "conflicting_labels", "b"), (4, "blurry"),
    )  # fmt: skip
    verdict = judge(make_samples(5), findings, make_scores(suggestion_prob=[1.0] * 5))
    assert list(column(verdict, "action").values()) == ["drop", "relabel", "drop", "drop", "drop"]
    assert column(verdict, "new_label") == {0: None, 1: "b", 2: None, 3: None, 4: None}


def test_an_improbable_label_is_not_given():
    """Two detectors that agree relabel only with a probability that is known and high enough."""
    findings = make_findings(
        *[(i, check, "b") for i in (0, 1) for check in ("unlikely_label", "conflicting_labels")]
    )
    for scores, actions in (
        (make_scores(suggestion_prob=[0.89, 0.9]), ["drop", "relabel"]),
        (make_scores(suggestion_prob=[None, 0.9], suggestion=["b", "c"]), ["drop", "drop"]),
        (make_scores(), ["drop", "drop"]),
    ):
        verdict = judge(make_samples(2), findings, scores)
        assert list(column(verdict, "action").values()) == actions


def test_two_proposals_for_one_cell_repair_nothing():
    """A cell is repaired only where every check that proposes a value proposes the same one."""
    findings = make_findings(
        (0, "rare_typo", "1", "km"), (0, "mixed_unit", "2", "km"),
        (1, "rare_typo", "1", "km"), (1, "mixed_unit", "1", "km"), (1, "rare_typo", "x", "name"),
    )  # fmt: skip
    verdict = judge(make_samples(2), findings)
    assert list(column(verdict, "action").values()) == ["review", "repair"]
    cells = verdict.repairs.select("column", "check_id", "before", "after").rows()
    assert cells == [("km", "mixed_unit", None, "1"), ("name", "rare_typo", None, "x")]


def test_a_cell_without_a_better_value_becomes_missing():
    """An empty proposal blanks the cell; where another check proposes a value, that one wins."""
    findings = make_findings(
        (0, "mixed_unit", "", "km"), (1, "mixed_unit", "", "km"), (1, "rare_typo", "7", "km"),
    )  # fmt: skip
    verdict = judge(make_samples(2), findings)
    assert verdict.repairs["after"].to_list() == [None, "7"]


def test_a_repaired_sample_in_doubt_keeps_the_lower_weight():
    """Mending one cell does not lift the doubt that another check raised."""
    verdict = judge(make_samples(1), make_findings((0, "rare_typo", "x", "c"), (0, "too_dark")))
    assert verdict.decisions.select("action", "weight").row(0) == ("repair", 0.25)


def test_the_surest_go_first_when_a_cap_is_reached():
    """Copies and leaks, then label errors by score, then others; the rest is down-weighted."""
    hits = make_findings(
        (10, "blurry"), (11, "unlikely_label", "b"), (12, "unlikely_label", "b"),
        (13, "unlikely_label", "b"), (14, "cross_split_leak", key(99)),
        (15, "exact_duplicate", key(0)),
    )  # fmt: skip
    suspicion = [None] * 11 + [0.2, float("nan"), 0.9] + [None] * 86
    policy = Policy(max_drop_frac=0.03, min_class_count=0)
    verdict = judge(make_samples(100), hits, make_scores(label_suspicion=suspicion), policy)
    actions = column(verdict, "action")
    assert [index for index, action in actions.items() if action == "drop"] == [13, 14, 15]
    assert [index for index, action in actions.items() if action == "down_weight"] == [10, 11, 12]
    assert verdict.facts["caps"] == [
        "cap reached: 3 more would go over 3% of the 100 train samples; down-weighted instead"
    ]


def test_a_class_keeps_its_share_even_when_forced():
    """Force lifts the caps on counts, never the cap on the loss of a class's share."""
    samples = make_samples(100, label=["a"] * 50 + ["b"] * 50)
    findings = make_findings(*[(index, "blurry") for index in range(50)])
    verdict = judge(samples, findings, policy=Policy(force=True))
    kept = 50 - verdict.facts["outcomes"]["dropped"]
    assert kept / (50 + kept) >= 0.8 * 0.5 > (kept - 1) / (49 + kept)
    assert "loss of 20% of the share of class 'a'" in verdict.facts["caps"][0]


def test_small_classes_are_only_flagged():
    """Below min_class_count nothing is dropped, relabelled, repaired or weighed down."""
    findings = make_findings((0, "blurry"), (1, "too_dark"), (2, "rare_typo", "x", "c"))
    verdict = judge(make_samples(49), findings, policy=Policy())
    assert [column(verdict, "action")[index] for index in range(4)] == ["review"] * 3 + ["keep"]
    assert verdict.facts["small_classes"] == {"a": 49}


def test_a_person_outranks_the_policy():
    """Every action of a person is taken over, in any split, and is not counted by the caps."""
    samples = make_samples(7, split=["train"] * 5 + ["test", "val"])
    findings = make_findings((0, "blurry"), (2, "conflicting_labels", "x", "city"))
    people = make_overrides(
        (0, "keep", None), (1, "drop", None), (2, "repair", None), (3, "down_weight", None),
        (4, "review", None), (5, "relabel", "b"), (6, "drop", None), (77, "drop", None),
    )  # fmt: skip
    verdict = judge(samples, findings, policy=Policy(max_drop_frac=0.0), overrides=people)
    expected = ["keep", "drop", "repair", "down_weight", "review", "relabel", "drop"]
    assert list(column(verdict, "action").values()) == expected
    assert set(verdict.decisions["decided_by"]) == {"ada"}
    assert column(verdict, "new_label")[5] == "b"
    assert verdict.repairs["after"].to_list() == ["x"]
    assert verdict.facts["overrides_elsewhere"] == 1


def test_what_people_change_in_the_evaluation_is_counted():
    """A person's decisions on val and test stand, and each sample that they changed is counted."""
    splits = ["train", "train", "val", "val", "test", "test"]
    samples = make_samples(6, split=splits)
    people = make_overrides(
        (1, "drop", None), (2, "drop", None), (3, "keep", None), (4, "relabel", "b"),
        (5, "relabel", "b"),
    )  # fmt: skip
    facts = judge(samples, make_findings(), overrides=people).facts
    assert facts["evaluation_changed_by_people"] == {"test": 2, "val": 1}
    assert judge(samples, make_findings()).facts["evaluation_changed_by_people"] == {}


def test_nobody_can_keep_what_cannot_be_read():
    """An unreadable file stays quarantined against a person's keep; a label rescues a row."""
    samples = make_samples(4, label=["a", "a", None, None])
    people = make_overrides(
        (0, "keep", None), (1, "drop", None), (2, "relabel", "a"), (3, "keep", None)
    )
    findings = make_findings((0, "unreadable"), (1, "unreadable"))
    verdict = judge(samples, findings, overrides=people)
    outcomes = ["quarantined", "dropped", "repaired", "quarantined"]
    assert list(column(verdict, "outcome").values()) == outcomes
    assert verdict.facts["overrides_without_effect"] == 2


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (make_overrides((0, "burn", None)), "not a decision"),
        (make_overrides((0, "relabel", None)), "not a decision"),
        (make_overrides((0, "keep", None), (0, "drop", None)), "two decisions"),
        (make_overrides((0, "keep", None)).drop("decided_by"), "columns are missing"),
    ],
)
def test_malformed_overrides_are_refused(overrides: pl.DataFrame, problem: str):
    """A table of overrides that is no decision for a sample each raises one sentence."""
    with pytest.raises(TableError, match=problem):
        judge(make_samples(1), make_findings(), overrides=overrides)


def test_programmer_faults_raise():
    """A stray sample_id, an unknown action and a fraction above 1 are no data problems."""
    with pytest.raises(TableError, match="name no sample"):
        judge(make_samples(1), make_findings((5, "blurry")))
    with pytest.raises(UnknownNameError, match="Did you mean 'drop'"):
        decide(make_samples(1), make_findings(), make_scores(), Policy(), {"blurry": "dropp"})
    with pytest.raises(CheckError, match="max_drop_frac"):
        Policy(max_drop_frac=10)


def test_an_empty_set_has_an_empty_verdict():
    """No samples, no decisions, no error."""
    verdict = judge(make_samples(0), make_findings())
    assert verdict.decisions.height == verdict.repairs.height == 0
