"""Who stays, who goes, who is changed: the only place that may take a sample out.

A check says what it saw; `decide` turns findings into one decision for each sample. It is a pure
function of its tables: no order, no clock, no chance. Defaults report and down-weight, and take
out only what is sure; a person's word outranks all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from checks.core.errors import CheckError
from checks.core.policy_ambiguous import mark_ambiguous
from checks.core.policy_candidates import gather_candidates
from checks.core.policy_caps import apply_caps
from checks.core.policy_facts import tell_facts
from checks.core.policy_inputs import find_doubted_labels, join_asks, read_people, weigh_samples
from checks.core.policy_repairs import propose_repairs
from checks.core.policy_slices import join_slices
from checks.core.tables import Decisions, Repairs, guard

FRACTIONS = (
    "max_drop_frac", "max_class_drop_frac", "max_slice_drop_frac", "max_class_share_loss",
    "down_weight", "ambiguous_weight", "relabel_prob_min", "sure_precision",
)  # fmt: skip
WEIGHTS = ("constant", "soft")
SOFT_MIN = 0.05  # a weight of nothing would be a drop past the caps


@dataclass(frozen=True, slots=True)
class Policy:
    """How far the policy may go. Fractions are 0..1; every value is a key of `[policy]`.

    max_drop_frac: largest share of the readable train samples that is taken out or relabelled.
    max_class_drop_frac: the same within one class.
    max_slice_drop_frac: the same within one slice, such as what one annotator labelled; one sample
        of a slice may always go, however small it is.
    min_class_count: classes with fewer readable train samples are only flagged.
    max_class_share_loss: largest relative loss of a class's share of the train split.
    down_weight: the weight of a sample that is kept with doubt.
    weights: "soft" weighs a sample whose label is doubted by the chance that it is right, 1 less
        `label_wrong` of the scores, .05 to 1, where that is known. "constant" weighs every doubted
        sample alike.
    ambiguous_weight: the weight of a sample whose label is doubted but ambiguous.
    relabel_prob_min: least probability of a proposed label, `suggestion_prob` of the scores.
    force: lifts the first three caps, never the others.
    sure_precision: least calibrated precision at which a label error is sure; the flow hands it
        to `unlikely_label` as `precision_min`, nothing here reads it.

    Raises:
        CheckError: a fraction outside 0..1, a negative count, or weights of another name.

    Source: own measurements on CIFAR-10N: half of the confident-learning count was the best drop,
    and larger ones cost clean data 1-4 points; soft weights beside the drop recover half as much
    again of what dropping each wrong label gains (bench/experiment_speed.py).
    """

    max_drop_frac: float = 0.10
    max_class_drop_frac: float = 0.15
    min_class_count: int = 50
    max_slice_drop_frac: float = 0.15
    max_class_share_loss: float = 0.20
    down_weight: float = 0.25
    weights: str = "soft"
    ambiguous_weight: float = 1.0
    relabel_prob_min: float = 0.9
    force: bool = False
    sure_precision: float = 0.8

    def __post_init__(self) -> None:
        for name in FRACTIONS:
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise CheckError(f"policy.{name}", "no fraction", got=value, allowed="0..1.")
        if self.min_class_count < 0:
            raise CheckError("policy.min_class_count", "negative", got=self.min_class_count)
        if self.weights not in WEIGHTS:
            raise CheckError("policy.weights", "no such way", got=self.weights,
                             allowed=f"One of {', '.join(WEIGHTS)}.")  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """Decisions (one row for each sample), Repairs, and small JSON-able facts for the report."""

    decisions: pl.DataFrame
    repairs: pl.DataFrame
    facts: Mapping[str, object]


def decide(  # noqa: PLR0917 - five tables and the limits, as a station hands them over
    samples: pl.DataFrame, findings: pl.DataFrame, scores: pl.DataFrame, policy: Policy,
    actions: Mapping[str, str], overrides: pl.DataFrame | None = None,
    slices: pl.DataFrame | None = None,
) -> Verdict:  # fmt: skip
    """Return exactly one decision for each sample.

    Args:
        samples: tables.Samples.
        findings: tables.Findings.
        scores: sample_id and one column for each ranking check; `label_suspicion` orders label
            errors (higher goes first); `policy_ambiguous` tells of the further columns that it
            reads where they are there.
        policy: the limits.
        actions: what each check asks for, by id; a check that is not named asks for review.
        overrides: sample_id (unique), action, decided_by and optionally new_label: what people
            decided, in this run or before. Ids that are not in this set are left alone.
        slices: sample_id, and a String column for each way to slice the set (annotator, source);
            the class is one by itself. Rates by slice are told, and caps hold in each.

    By rank: what cannot be used is quarantined in every split (unreadable; no label in a labelled
    set, which can be neither trained on nor scored), even if a person would keep it. Then a
    person's decision. Then the policy, on train only: drop, relabel, repair, down-weight, review.
    Validation and test samples are proposed for review, never changed by the policy. A person may
    change them, by an explicit decision: `evaluation_changed_by_people` of the facts counts those.

    A repaired sample keeps the lower weight if another check doubts it. A quarantined one has
    action review and weight 0. People's drops do not count against the caps. A label that is
    ambiguous, not wrong, is no reason to drop or relabel: such a sample is proposed for review.

    Raises:
        TableError: a finding names no sample, or the overrides are malformed.
        UnknownNameError: `actions` asks for something that is no action.
    """
    asked, people = join_asks(samples, findings, actions), read_people(overrides)
    base = weigh_samples(samples, asked, people, policy.min_class_count)
    doubted = find_doubted_labels(asked)
    ambiguous = mark_ambiguous(samples, scores, doubted)
    base, names, sizes = join_slices(base, slices)
    candidates = gather_candidates(base, asked, scores, policy.relabel_prob_min, ambiguous)
    candidates = candidates.join(base.select("sample_id", *names), on="sample_id", how="left")
    totals = dict(base.filter("counted").group_by("class_name").len().sort("class_name").rows())
    capped, told = apply_caps(candidates, totals, policy, sizes)
    proposed = _propose(base, asked)
    signs = _join_signs(base, asked, capped, proposed)
    settled = _settle(_join_labels(signs, doubted, ambiguous, scores), policy)
    decisions = settled.select(*Decisions.to_schema().columns).sort("sample_id")
    changed = settled.filter(pl.col("outcome") == "repaired")
    repairs = proposed.join(changed, on="sample_id", how="semi").sort("sample_id", "column")
    facts = tell_facts(settled, capped, told, repairs, names)
    facts["overrides_elsewhere"] = people.join(samples, on="sample_id", how="anti").height
    return Verdict(
        guard(Decisions, decisions, "decisions"), guard(Repairs, repairs, "repairs"), facts
    )


def _propose(base: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """Cells that the policy may repair, and those whose proposals a person accepted."""
    accepted = base.filter(~pl.col("out") & (pl.col("person_action") == "repair"))
    by_policy = asked.join(base.filter("free"), on="sample_id", how="semi")
    by_person = asked.join(accepted, on="sample_id", how="semi")
    return pl.concat([propose_repairs(by_policy), propose_repairs(by_person, wanted=False)])


def _join_signs(
    base: pl.DataFrame, asked: pl.DataFrame, capped: pl.DataFrame, proposed: pl.DataFrame
) -> pl.DataFrame:
    """Add what the policy needs to know of each sample: five Booleans and the new label."""
    asks = pl.col("asks")
    dangling = (asks == "drop") & (pl.col("dimension") == "duplicate")
    dangling &= pl.col("suggestion").is_null()
    signs = asked.group_by("sample_id").agg(
        noted=(asks != "keep").any(),
        pending=(asks.is_in(("review", "relabel", "repair")) | dangling).any(),
        doubted=(asks == "down_weight").any(),
    )
    fixable = proposed.select("sample_id").unique().with_columns(fixable=pl.lit(value=True))
    candidates = capped.select("sample_id", "taken", "removes", "new_label")
    told = pl.col("noted", "pending", "doubted", "fixable", "taken", "removes")
    return (
        base.join(signs, on="sample_id", how="left")
        .join(fixable, on="sample_id", how="left")
        .join(candidates, on="sample_id", how="left")
        .with_columns(doubted=pl.col("doubted") | pl.col("taken").not_())
        .with_columns(told.fill_null(value=False))
    )


def _join_labels(
    signs: pl.DataFrame, doubted: pl.DataFrame, ambiguous: pl.DataFrame, scores: pl.DataFrame
) -> pl.DataFrame:
    """Add label_doubted, ambiguous (a reason or null), unsure (both of them) and label_wrong."""
    known = "label_wrong" in scores.columns
    wrong = (pl.col("label_wrong") if known else pl.lit(None)).cast(pl.Float64)
    held = scores.select("sample_id", label_wrong=wrong.fill_nan(None).round(4))
    labelled = doubted.with_columns(label_doubted=pl.lit(value=True))
    joined = signs.join(labelled, on="sample_id", how="left").join(
        ambiguous, on="sample_id", how="left"
    )
    return joined.join(held, on="sample_id", how="left").with_columns(
        pl.col("label_doubted").fill_null(value=False),
        unsure=pl.col("label_doubted").fill_null(value=False) & pl.col("ambiguous").is_not_null(),
    )


def _settle(signs: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Add action, outcome, weight, new_label, decided_by; the first rule that holds decides."""
    by_person = pl.col("person").is_not_null() & ~pl.col("quarantined")
    lighter = pl.col("unsure") & (policy.ambiguous_weight < 1)
    action = (
        pl.when("quarantined").then(pl.lit("review"))
        .when(by_person).then("person_action")
        .when(~pl.col("free") & pl.col("noted")).then(pl.lit("review"))
        .when(pl.col("taken") & pl.col("removes")).then(pl.lit("drop"))
        .when("taken").then(pl.lit("relabel"))
        .when("fixable").then(pl.lit("repair"))
        .when(pl.col("free") & (pl.col("doubted") | lighter)).then(pl.lit("down_weight"))
        .when(pl.col("pending") | pl.col("unsure")).then(pl.lit("review"))
        .otherwise(pl.lit("keep"))
    )  # fmt: skip
    acted = signs.with_columns(action=action, decided_by=pl.when(by_person).then("person"))
    is_repair = (pl.col("action") == "relabel") | (
        (pl.col("action") == "repair") & pl.col("fixable")
    )
    doubted = (pl.col("action") == "repair") & pl.col("free") & (pl.col("doubted") | lighter)
    low = doubted | (pl.col("action") == "down_weight")
    relabelled = pl.col("action") == "relabel"
    label = pl.coalesce("person_label", "new_label")
    return acted.with_columns(
        outcome=pl.when("quarantined").then(pl.lit("quarantined"))
        .when(pl.col("action") == "drop").then(pl.lit("dropped"))
        .when(is_repair & ~pl.col("quarantined")).then(pl.lit("repaired"))
        .otherwise(pl.lit("kept")),
        weight=pl.when(pl.col("quarantined") | (pl.col("action") == "drop")).then(0.0)
        .when(low).then(_weigh_doubt(policy)).otherwise(1.0).cast(pl.Float32),
        new_label=pl.when(relabelled).then(label),
        decided_by=pl.col("decided_by").fill_null("policy"),
    )  # fmt: skip


def _weigh_doubt(policy: Policy) -> pl.Expr:
    """The weight of a doubted sample; what is ambiguous only has a weight of its own."""
    constant = pl.lit(policy.down_weight)
    weight = constant
    if policy.weights == "soft":
        soft = (1 - pl.col("label_wrong")).clip(SOFT_MIN, 1)
        weight = pl.when("label_doubted").then(pl.coalesce(soft, constant)).otherwise(constant)
    only = pl.col("unsure") & ~pl.col("doubted")
    return pl.when(only).then(pl.lit(policy.ambiguous_weight)).otherwise(weight)
