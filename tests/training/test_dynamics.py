from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.wrong_labels import bars, clouds
from training.arms import Arm, Arms, TrainingData, raw_arm
from training.dynamics import COLUMNS, Watch, dynamics_frame
from training.heads import Rows, train_heads
from training.jobs import Place, plan_jobs, repeatable, run_jobs
from training.recipe import Recipe
from training.trainer import Pictures, train

CPU = torch.device("cpu")
RECIPE = Recipe("train", 45, 20, 0.05, 5e-4, evals=2)
HEADS = Recipe("train", 60, 32, 3e-3, 0.01, evals=2, hidden=16)


def told(data: TrainingData, threads: int) -> pl.DataFrame:
    """The table of one run, trained while torch may use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    with repeatable(CPU):
        run = train(Pictures(data, CPU), raw_arm(data), 0, RECIPE)
    torch.set_num_threads(before)
    assert run.dynamics is not None
    return dynamics_frame(data.keys[data.train], [run.dynamics])


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 25), st.integers(2, 5))
def test_sums_on_the_way_equal_what_all_logits_would_tell(
    seed: int, samples: int, size: int, classes: int
) -> None:
    """However batches cross epochs, the sums give the figures of the stored logits."""
    rng, members = np.random.default_rng(seed), 2
    order = np.concatenate([rng.permutation(samples) for _ in range(4)])
    epochs = np.repeat(np.arange(4), samples)
    logits = rng.normal(0, 2, (members, order.size, classes)).astype(np.float32)
    labels = rng.integers(0, classes, (members, samples))
    watch = Watch(members, samples, CPU)
    for begin in range(0, order.size, size):
        part = slice(begin, begin + size)
        own = torch.from_numpy(labels[:, order[part]])
        wide = np.tile(order[part], (members, 1))
        watch.record(wide, epochs[part], torch.from_numpy(logits[:, part]), own)
    got = watch.summarise(torch.zeros(members, samples))
    for member in range(members):
        for sample in range(samples):
            seen = logits[member, order == sample].astype(np.float64)
            label = labels[member, sample]
            margin = seen[:, label] - np.delete(seen, label, axis=1).max(axis=1)
            prob = np.exp(seen[:, label]) / np.exp(seen).sum(axis=1)
            right = margin > 0
            expected = [
                margin.mean(), 0.0, prob.mean(), prob.std(), right.mean(),
                (right[:-1] & ~right[1:]).sum(),
            ]  # fmt: skip
            assert np.allclose(got[member, sample], expected, atol=1e-4)


def test_wrong_labels_are_come_to_terms_with_late() -> None:
    """Planted wrong labels have the lowest margins and are predicted least often."""
    frame = told(bars(), 1)
    wrong, right = frame[:10], frame[10:]
    for name in ("margin_mean", "prob_mean", "correct_frac"):
        assert wrong[name].median() < right[name].quantile(0.1), name


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_again_gives_an_equal_table(threads: int) -> None:
    """Two runs give the same bytes, whatever number of threads torch may use."""
    assert told(bars(), threads).equals(told(bars(), 1))


def test_watching_changes_no_run() -> None:
    """The raw arm's curve and predictions are those of the same arm unwatched."""
    data = bars()
    torch.set_num_threads(1)
    arms = (raw_arm(data), replace(raw_arm(data), name="unwatched"))
    watched, other = (train(Pictures(data, CPU), arm, 0, RECIPE) for arm in arms)
    assert np.array_equal(watched.val_nll, other.val_nll)
    assert np.array_equal(watched.test_pred, other.test_pred)
    assert watched.dynamics is not None
    assert other.dynamics is None


def test_a_sample_that_was_never_drawn_is_null() -> None:
    """A run too short for one pass leaves nulls, never zeros; the last margin is there."""
    data = bars()
    run = train(Pictures(data, CPU), raw_arm(data), 0, replace(RECIPE, steps=2, evals=1))
    assert run.dynamics is not None
    frame = dynamics_frame(data.keys[data.train], [run.dynamics])
    assert frame["margin_final"].null_count() == 0
    unseen = [name for name in COLUMNS if name != "margin_final"]
    assert {frame[name].null_count() for name in unseen} == {data.train.size - 40}


def test_heads_log_their_raw_members_alone() -> None:
    """In a batched model each raw member's figures are those of the member trained alone."""
    torch.set_num_threads(1)
    data = clouds()
    raw = raw_arm(data)
    cleaned = Arm("cleaned", np.arange(raw.keep.size) >= 20, raw.weights, raw.labels, raw.rows)
    rows, recipe = Rows(data, CPU), replace(HEADS, embedding=2)
    together = train_heads(rows, [(cleaned, 0), (raw, 0), (raw, 1)], recipe)
    alone = train_heads(rows, [(raw, 1)], recipe)
    assert together[0].dynamics is None
    assert together[2].dynamics is not None
    assert alone[0].dynamics is not None
    assert np.allclose(together[2].dynamics, alone[0].dynamics, atol=1e-3)
    assert not np.allclose(together[1].dynamics, together[2].dynamics, atol=1e-3)
    margin = together[1].dynamics[:, 0]
    assert np.median(margin[:20]) < np.quantile(margin[20:], 0.1)


@pytest.mark.parametrize("data", [bars(), clouds()], ids=["images", "table"])
def test_dynamics_survive_the_cache(data: TrainingData, tmp_path: Path) -> None:
    """What a job logged is read back from its file as it was."""
    arms = Arms(raw_arm(data), raw_arm(data))
    recipe = RECIPE if data.images is not None else HEADS
    wanted = [(name, seed) for seed in (0, 1) for name in ("raw", "raw_again")]
    jobs = plan_jobs(data, arms, recipe, wanted, CPU)
    first, again = (run_jobs(data, arms, jobs, Place(tmp_path, 1, CPU)) for _ in range(2))
    assert [run.dynamics is not None for run in first] == [True, False, True, False]
    for one, other in zip(first, again, strict=True):
        if one.dynamics is not None:
            assert one.dynamics.shape == (data.train.size, len(COLUMNS))
            assert np.array_equal(one.dynamics, other.dynamics)
