"""The arms of the cleaning benchmark: what each does to labels, on a made set."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from bench.cleaning_arms import Judgement, clean_arms, flag_ideally, truth_arms
from bench.cleaning_nets import predict_mlp, with_numbers
from bench.label_cleaning import score_arms
from training.arms import TrainingData

COUNT, TEST = 600, 200


@pytest.fixture(scope="module")
def made() -> tuple[TrainingData, Judgement, np.ndarray]:
    """Two classes far apart, a fifth of the train labels wrong, and a check that knows them."""
    draw = np.random.default_rng(0)
    truth = np.arange(COUNT + TEST) % 2
    points = draw.normal(size=(COUNT + TEST, 20)) + 0.6 * truth[:, None]
    wrong = draw.permutation(COUNT) < COUNT // 5
    labels = truth.copy()
    labels[:COUNT][wrong] ^= 1
    ids = [f"{row:032x}-0" for row in range(COUNT)]
    names = [str(code) for code in labels[:COUNT]]
    samples = pl.DataFrame({
        "sample_id": ids, "split": "train", "label": names, "uri": "t", "row": range(COUNT),
        "byte_size": 1, "xxh3_128": [one[:32] for one in ids],
    })  # fmt: skip
    findings = samples.filter(pl.Series(wrong)).select(
        "sample_id", pl.lit("unlikely_label").alias("check_id"),
        pl.lit(None, pl.String).alias("column"), pl.lit("incorrect").alias("dimension"),
        pl.lit("error").alias("severity"), pl.lit(1.0).alias("value"),
        pl.lit(0.5).alias("threshold"), pl.lit("seen").alias("evidence"),
        pl.lit("0").alias("suggestion"),
    )  # fmt: skip
    scores = pl.DataFrame({"sample_id": ids, "label_suspicion": wrong + draw.random(COUNT) / 2})
    split = np.repeat(np.array([0, 2], np.int8), [COUNT, TEST])
    keys = np.array([str(row) for row in range(COUNT + TEST)])
    data = TrainingData("table", ("0", "1"), keys, labels.astype(np.int64), split)
    judged = Judgement(samples, findings, scores, {})
    return with_numbers(data, points.astype(np.float32)), judged, wrong


def test_arms_do_what_they_say(made: tuple[TrainingData, Judgement, np.ndarray]) -> None:
    """Caps bind in the default alone, controls take as many, the oracle takes the wrong ones."""
    data, judged, wrong = made
    cleaned = clean_arms(data, judged)
    truth = truth_arms(data, judged, wrong, cleaned, 0)
    assert (
        cleaned["all_flagged"].keep.tolist() == (~wrong).tolist() == truth["oracle"].keep.tolist()
    )
    assert (~cleaned["default"].keep).sum() == COUNT // 10 == (~truth["oracle_capped"].keep).sum()
    assert (cleaned["default"].weights[cleaned["default"].keep] < 1).sum() == COUNT // 10
    assert truth["random_flagged"].n_train == cleaned["all_flagged"].n_train
    assert cleaned["half_rest_weighed"].n_train == COUNT - COUNT // 10
    assert (cleaned["relabelled"].labels != cleaned["raw"].labels).any()


def test_ideal_flags_are_as_precise_as_asked(
    made: tuple[TrainingData, Judgement, np.ndarray],
) -> None:
    """The longest head of the order with four in five wrong is flagged."""
    _, judged, wrong = made
    ideal = flag_ideally(judged, wrong, 0.8)
    assert ideal.findings.height == int(wrong.sum() / 0.8)
    assert ideal.findings.schema == judged.findings.schema


def test_cleaning_helps_a_network_that_learns_by_heart(
    made: tuple[TrainingData, Judgement, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its wrong labels the perceptron is right more often; equal arms are trained once."""
    data, judged, wrong = made
    monkeypatch.setattr("bench.cleaning_nets.BATCH", 100)
    names = ("raw", "all_flagged", "oracle")
    hits = score_arms(data, judged, wrong, predict_mlp, seeds=2, names=names)
    assert (hits["all_flagged"] == hits["oracle"]).all()
    assert hits["oracle"].mean() > hits["raw"].mean() + 0.02
