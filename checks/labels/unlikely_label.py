"""Labels that neither a left-out model nor the neighbours would give."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.core.check import Judged, SetExample, set_check
from checks.labels.algebra import pick
from checks.labels.calibration import Calibration, calibrate, recall_planted
from checks.labels.dynamics_rank import doubt_of_dynamics
from checks.labels.leave_one_out import Floats
from checks.labels.noise_facts import tell_facts
from checks.labels.noise_matrix import Noise, estimate_noise
from checks.labels.suspicion import Evidence, Ints, Verdict, gather, judge, judge_others
from checks.labels.verdicts import correct, heed, read_verdicts
from checks.metrics.label_shares import read_vectors
from checks.metrics.vectors import stack

SAMPLES_MIN = 40
SAMPLES_PER_CLASS_MIN = 4
EMPTY = pl.DataFrame(
    schema={
        "sample_id": pl.String, "value": pl.Float64, "threshold": pl.Float64,
        "severity": pl.String, "evidence": pl.String, "suggestion": pl.String,
    }
)  # fmt: skip

SCORES = {"sample_id": pl.String, "label_suspicion": pl.Float64, "label_prob": pl.Float64,
          "label_wrong": pl.Float64, "suggestion_prob": pl.Float64, "suggestion": pl.String,
          "label_votes": pl.Float64}  # fmt: skip


def _example(*, wrong: bool) -> SetExample:
    """Four arms of 150 samples, hard near the centre; an eighth of the clear ones mislabelled."""
    place = np.arange(600)
    arm, radius = place % 4, 3 * (place * 0.618034 % 1)
    angle, jitter = arm * np.pi / 2, place * 2.399963
    points = np.column_stack([
        radius * np.cos(angle) + 0.15 * np.cos(jitter),
        radius * np.sin(angle) + 0.15 * np.sin(jitter),
    ])  # fmt: skip
    bad = np.flatnonzero(radius > 0.6)[::8] if wrong else place[:0]  # noqa: PLR2004
    arm[bad] += 1 + bad // 4 % 3
    ids = [f"{number:032x}-0" for number in place]
    labels = ["abcd"[number % 4] for number in arm]
    samples = {"sample_id": ids, "split": ["train"] * 600, "label": labels}
    features = {"sample_id": ids, "features": points.tolist()}
    tables = {"samples": samples, "features": features}
    return SetExample(tables, frozenset(ids[number] for number in bad))


@set_check(
    needs=("samples", "features", "probabilities?", "dynamics?", "reviews?"),
    dimension="incorrect",
    severity="error",
    action="drop",
    score="label_suspicion",
    more_scores=tuple(SCORES)[2:],
    relative=True,
    version=4,
    precision_min=0.8,
    neighbour_count=50,
    reference_count=10_000,
    planted_rounds=4,
    seed=0,
    examples=(_example(wrong=True), _example(wrong=False)),
)
def unlikely_label(
    tables: Mapping[str, pl.LazyFrame], *, precision_min: float, neighbour_count: int,
    reference_count: int, planted_rounds: int, seed: int,
) -> Judged:  # fmt: skip
    """Rank labels by how unlikely they are; flag those that are wrong at `precision_min` or surer.

    A kernel ridge that has not seen the sample, the votes of its `neighbour_count` nearest
    neighbours and, where there is one, another model's class scores say which class it is; the
    likelihood of the given labels weighs the three and fits the noise matrix with them. A model of
    the noise then gives each label a probability of being wrong, `label_wrong` (also a finding's
    value, and what `[policy] weights` goes by), and its rank is `label_suspicion`, 0 (plausible) to
    1; where noise falls into look-alikes, Bayes' rule with the noise matrix ranks instead, and the
    dynamics of a training run count half where they are.
    How many are flagged is another question: of those likelier wrong than right the likeliest are,
    while even the one-sided 90 % bound of the share of wrong labels among them is at least
    `precision_min`. Flips planted in `planted_rounds` rounds tell the recall, and cap that bound:
    of wrong labels no larger share is found than of labels flipped at random.
    Verdicts that people gave on train labels (`gristmill review`) correct these probabilities,
    the count and the precision, not the rank; they take flags back and never add any, as what is
    true of the labels asked about need not be of those between. Validation and test labels are
    ranked against train, and proposed for review only.

    What cannot be known from labels alone: wrong labels that fill one region of the features and
    spare all others look like samples that are hard there. None is flagged then, `label_wrong` is
    null, and the interval of the count says how many there may be.

    Why: a wrong label in train is learnt by heart by a large network; but a weak model's count of
    errors flags a fifth of a clean set, so that order and amount are two decisions.
    Source: own, against Northcutt et al. 2021, arXiv 1911.00068, on CIFAR-10N
    (bench/label_ranking.py, bench/label_amount.py).
    """
    known = read_vectors(tables)
    classes = known["label"].unique().sort().to_list()
    train = known.filter(pl.col("split") == "train")
    least = max(SAMPLES_MIN, SAMPLES_PER_CLASS_MIN * len(classes))
    if len(classes) < 2 or train.height < least:  # noqa: PLR2004 - a choice needs two
        fact = {"not_judged": f"{train.height} labelled train samples, {len(classes)} classes"}
        return Judged(EMPTY, _spread(tables, pl.DataFrame(schema=SCORES)), fact)
    labels, count = _encode(train, classes), len(classes)
    evidence = gather(
        stack(train["features"]), labels, count, prior=_prior(tables, train, classes),
        neighbour_count=neighbour_count, reference_count=reference_count, seed=seed,
    )  # fmt: skip
    judged = judge(evidence, labels)
    verdicts = read_verdicts(tables, train)
    unheard = estimate_noise(judged.beliefs, labels, seed=seed)
    suspicion = judged.refine(unheard.reading.wrong)
    noise = heed(unheard, labels, suspicion, verdicts, seed=seed)
    recall = _recall(evidence, labels, judged, noise, rounds=planted_rounds, seed=seed)
    calibration = _calibrate(noise, judged, recall)
    count = calibration.choose(precision_min)
    if noise is not unheard:
        count = min(count, _calibrate(unheard, judged, recall).choose(precision_min))
    facts = tell_facts(noise, calibration, recall, classes, flagged=count,
                       precision_min=precision_min)  # fmt: skip
    wrong = noise.reading.wrong
    held = known.filter(pl.col("split") != "train")
    if held.height:
        given = _encode(held, classes)
        seen = judge_others(
            evidence, labels, matrix=stack(held["features"]), given=given,
            prior=_prior(tables, held, classes), judged=judged,
        )  # fmt: skip
        doubted = unheard.reading.rejudge(seen.beliefs, given)
        ranked = seen.refine(doubted, (judged, unheard.reading.wrong))
        doubted = correct(noise, doubted, ranked)
        suspicion = np.concatenate([suspicion, ranked])
        wrong, judged = np.concatenate([wrong, doubted]), judged.join(seen)
    everyone = pl.concat([train, held]).drop("features")
    if "dynamics" in tables:
        learnt = doubt_of_dynamics(tables["dynamics"].collect(), everyone["sample_id"])
        suspicion = np.where(np.isfinite(learnt), (suspicion + learnt) / 2, suspicion).round(9)
    told = wrong if count else np.full_like(wrong, np.nan)
    scores = _spread(tables, _score(everyone, judged, suspicion, told, classes))
    found = _tell(everyone, judged, wrong, classes, calibration=calibration, count=count)
    return Judged(found, scores, facts | verdicts.tell(unheard.reading.wrong))


def _encode(frame: pl.DataFrame, classes: list[str]) -> Ints:
    return frame["label"].cast(pl.Enum(classes)).to_physical().to_numpy().astype(np.int64)


def _prior(
    tables: Mapping[str, pl.LazyFrame], frame: pl.DataFrame, classes: list[str]
) -> Floats | None:
    """Out-of-sample class scores as (N, K); evenly spread where a sample has none."""
    if "probabilities" not in tables:
        return None
    table = tables["probabilities"].collect()
    place = pl.DataFrame({"sample_id": frame["sample_id"], "i": np.arange(frame.height)})
    column = pl.DataFrame({"class_name": classes, "k": np.arange(len(classes))})
    known = table.join(place, on="sample_id").join(column, on="class_name")
    prior = np.full((frame.height, len(classes)), np.float32(1 / len(classes)))
    prior[known["i"].to_numpy(), known["k"].to_numpy()] = known["prob"].to_numpy()
    return prior


def _recall(
    evidence: Evidence, labels: Ints, judged: Verdict, noise: Noise, *, rounds: int, seed: int
) -> npt.NDArray[np.float64]:
    """Recall at each budget, (2, S), of flips along the samples' own confusions, and of any."""
    matrix = noise.reading.matrix

    def rescore(flipped: Ints) -> npt.NDArray[np.float64]:
        again = judge(evidence, flipped)
        wrong = noise.reading.rejudge(again.beliefs, flipped)
        return np.where(again.flaggable, wrong, -np.inf)

    confusable = judged.beliefs * (matrix[labels] + matrix.min())
    half = max(1, rounds // 2)
    return np.array([
        recall_planted(labels, odds, rescore, rounds=half, seed=seed)
        for odds in (confusable, np.ones_like(confusable))
    ])  # fmt: skip


def _calibrate(noise: Noise, judged: Verdict, recall: npt.NDArray[np.float64]) -> Calibration:
    calibration = calibrate(noise.reading, judged.flaggable)
    return calibration.cap(noise.count()[0], recall[1], len(judged.doubt))


def _tell(
    everyone: pl.DataFrame, verdict: Verdict, wrong: npt.NDArray[np.float64], classes: list[str],
    *, calibration: Calibration, count: int,
) -> pl.DataFrame:  # fmt: skip
    """Findings of what is as likely wrong as the last train sample flagged; none where none is."""
    if not count:
        return EMPTY
    names, wrong = np.array(classes, dtype=object), wrong.round(6)
    cut = float(wrong[calibration.order[count - 1]])
    table = everyone.with_columns(
        value=pl.Series(wrong), threshold=pl.lit(cut),
        flagged=pl.Series(verdict.flaggable & (wrong >= cut)),
        suggestion=pl.Series(names[verdict.proposed].tolist(), dtype=pl.String),
        against=pl.Series((100 * verdict.against).round().astype(np.int64)),
    ).filter("flagged")  # fmt: skip
    evidence = pl.format(
        "labelled '{}', but the model says '{}' and {} % of the neighbours disagree;"
        " about {} % of such flags are wrong labels",
        "label", "suggestion", "against", pl.lit(round(100 * calibration.precision[count - 1])),
    )  # fmt: skip
    severity = pl.when(pl.col("split") == "train").then(pl.lit("error"))
    return table.select(
        "sample_id", "value", "threshold", severity.otherwise(pl.lit("warning")).alias("severity"),
        evidence.alias("evidence"), "suggestion",
    ).sort("sample_id")  # fmt: skip


def _score(
    everyone: pl.DataFrame, verdict: Verdict, suspicion: npt.NDArray[np.float64],
    wrong: npt.NDArray[np.float64], classes: list[str],
) -> pl.DataFrame:  # fmt: skip
    """What is told of each sample judged: the columns of SCORES."""
    given = _encode(everyone, classes)
    parts = {
        "label_suspicion": suspicion, "label_prob": pick(verdict.beliefs, given),
        "label_wrong": wrong, "suggestion_prob": verdict.beliefs.max(axis=1),
        "suggestion": np.array(classes, dtype=object)[verdict.proposed].tolist(),
        "label_votes": 1 - verdict.against.astype(np.float64),
    }  # fmt: skip
    told = everyone.select("sample_id", *(pl.Series(n, v, strict=False) for n, v in parts.items()))
    rounded = ("label_prob", "label_wrong", "suggestion_prob", "label_votes")
    return told.cast(SCORES).with_columns(pl.col(rounded).fill_nan(None).round(6))  # type: ignore[arg-type]


def _spread(tables: Mapping[str, pl.LazyFrame], told: pl.DataFrame) -> pl.DataFrame:
    """A row for every sample, null where it was not judged."""
    samples = tables["samples"].select("sample_id").sort("sample_id").collect()
    return samples.join(told, on="sample_id", how="left", maintain_order="left")
