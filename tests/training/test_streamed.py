import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

from tests.training.streamed_bars import write_bars
from tests.training.test_trainer_runs import CPU, bars
from training.arms import raw_arm
from training.checkpoint import Checkpoint
from training.errors import TrainingError
from training.experiment import curve_frame
from training.jobs import repeatable
from training.learner import Learner
from training.models import Net
from training.ranks import Ranks
from training.recipe import Recipe
from training.shards.manifest import Manifest
from training.shards.order import open_order
from training.standard import Standard
from training.streamed import Splits, _feed, _loss, _steps, train_streamed
from training.trainer import Pictures, Run, train

ROOT = Path(__file__).parents[2]
RECIPE = Recipe("train", 30, 32, 0.05, 5e-4, evals=3, net=Net(widths=(8, 16)))
Store = tuple[Path, Manifest]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The bars as shards; one of train has no label."""
    out = tmp_path_factory.mktemp("bars")
    return out, write_bars(out)


class _Counted:
    """A split of so many rows that nobody reads."""

    digest, blocks, classes = "d", None, ("up", "flat")

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return self.rows

    def fetch(self, rows: NDArray[np.int64], *, filled: int, epoch: int) -> None: ...


def _open(store: Store) -> Splits:
    return Splits.open(*store, image_size=16, channels=1)


def _close(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    """Curves that agree up to the order of sums; one image of fifty may fall the other way."""
    parts = zip(("val_acc", "val_nll", "test_nll"), (0.021, 1e-4, 1e-4), strict=True)
    same = one.select("tier", "arm", "seed", "step", "samples")
    return same.equals(other.select(same.columns)) and all(
        np.allclose(one[name], other[name], atol=most, equal_nan=True) for name, most in parts
    )


def _by_two(store: Store, told: Recipe, out: Path) -> pl.DataFrame:
    """The curve of two processes that train together."""
    recipe = out / "recipe.json"
    recipe.write_text(json.dumps(asdict(told)))
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "training.distributed", str(store[0]), store[1].digest, str(recipe),
        "--out", str(out), "--seed", "1", "--image-size", "16", "--channels", "1",
        "--device", "cpu",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "FutureWarning" not in done.stderr
    return pl.read_parquet(out / "curves.parquet")


@pytest.fixture(scope="module")
def alone(store: Store) -> tuple[Run, pl.DataFrame]:
    """The run of one process, and its curve."""
    with repeatable(CPU):
        run, told = train_streamed(_open(store), 1, RECIPE)
    return run, curve_frame("train", [run], told)


def test_streamed_training_learns_as_the_resident_does(alone: tuple[Run, pl.DataFrame]) -> None:
    """Both ends of the curve are near those of the resident run, which has another order."""
    data = bars(side=16)
    with repeatable(CPU):
        resident = train(Pictures(data, CPU), raw_arm(data), 1, RECIPE)
    run, curve = alone
    assert run.steps.tolist() == resident.steps.tolist()
    assert abs(run.val_nll[0] - resident.val_nll[0]) < 0.05
    assert run.val_acc[-1] > 0.9
    assert resident.val_acc[-1] > 0.9
    assert curve.columns[:3] == ["tier", "arm", "seed"]
    assert curve["test_acc"].drop_nulls().item() > 0.9


def test_two_processes_give_the_run_of_one(
    store: Store, alone: tuple[Run, pl.DataFrame], tmp_path: Path
) -> None:
    """Two ranks over gloo end with the curve of one process.

    Batch norms read both halves of a batch, and the hardest samples are chosen from both.
    """
    hard = replace(RECIPE, hardest=0.5)
    with repeatable(CPU):
        run, told = train_streamed(_open(store), 1, hard)
    assert run.val_nll[0] == alone[0].val_nll[0]
    assert not np.allclose(run.val_nll[1:], alone[0].val_nll[1:], atol=1e-3)
    curve, one = _by_two(store, hard, tmp_path), curve_frame("train", [run], told)
    assert _close(curve, one), f"{curve}\n{one}"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["curves.parquet", "recipe.json"]


def test_a_streamed_run_goes_on_from_its_checkpoint(
    store: Store, alone: tuple[Run, pl.DataFrame], tmp_path: Path
) -> None:
    """Stopped in the middle of an epoch and begun again, the bits are those of a whole run."""

    class Stopped(Exception):  # noqa: N818 - no error
        pass

    class Stopping(Checkpoint):
        def save(self, *state: object) -> None:
            super().save(*state)  # type: ignore[arg-type]
            raise Stopped

    with repeatable(CPU):
        with pytest.raises(Stopped):
            train_streamed(
                _open(store), 1, RECIPE, saved=Stopping(tmp_path / "x", None, every_steps=13)
            )
        run, _ = train_streamed(_open(store), 1, RECIPE, saved=Checkpoint(tmp_path / "x"))
    assert np.array_equal(run.val_nll, alone[0].val_nll)
    assert run.test_nll == alone[0].test_nll


def test_ranks_must_share_a_batch(store: Store) -> None:
    """A batch that the ranks cannot share evenly is refused."""
    with pytest.raises(TrainingError, match=r"shared evenly \(got 32\)"):
        train_streamed(_open(store), 1, RECIPE, ranks=Ranks(0, 3))


def test_blocks_freeze_in_one_process_only(store: Store) -> None:
    """A streamed run heeds the schedule; several ranks refuse it."""
    frozen = replace(RECIPE, freeze=(0.0, 0.0))
    with pytest.raises(TrainingError, match=r"only one process can freeze blocks \(got 2\)"):
        train_streamed(_open(store), 1, frozen, ranks=Ranks(0, 2))


def test_code_is_compiled_in_one_process_only(store: Store) -> None:
    """Several ranks refuse an engine that they would not use."""
    for engine in ("compile", "graphs"):
        with pytest.raises(TrainingError, match=rf"2 processes cannot .* \(got '{engine}'\)"):
            train_streamed(_open(store), 1, replace(RECIPE, engine=engine), ranks=Ranks(0, 2))


@settings(max_examples=60)
@given(rows=st.integers(1, 40), each=st.integers(2, 9), world=st.integers(1, 3), data=st.data())
def test_batches_cross_the_end_of_an_epoch(
    rows: int, each: int, world: int, data: st.DataObject
) -> None:
    """The steps of all ranks, from any step on, are the epochs' orders without a gap or filling.

    So every row comes once in each epoch, in a batch as full as any other.
    """
    split, size = _Counted(rows), each * world
    recipe = replace(RECIPE, batch_size=size, steps=data.draw(st.integers(1, 3 * rows)))
    first = data.draw(st.integers(0, recipe.steps - 1))
    parts = [list(_steps(split, 5, recipe, Ranks(r, world), first)) for r in range(world)]
    assert [len(part) for part in parts] == [recipe.steps - first] * world
    drawn = np.stack([[(p.rows, p.epochs) for p in part] for part in parts], axis=-1)
    stream = drawn.transpose(0, 2, 3, 1).reshape(-1, 2)
    epochs = range(-(-recipe.steps * size // rows))
    whole = [(row, n) for n in epochs for row in open_order(rows, 5, n).at(np.arange(rows))]
    assert np.array_equal(stream, whole[first * size : recipe.steps * size])


def test_every_row_counts_by_its_weight(tmp_path: Path) -> None:
    """Over an epoch the mean of the steps' losses is the split's weighted mean loss.

    Rows of low weight that share a batch stay low, and one without a label counts nothing.
    """
    weights = np.where(np.arange(260) % 3 == 0, 0.01, 2.0).astype(np.float32)
    net = Net(widths=(8, 16), norm="group")
    recipe = replace(RECIPE, steps=40, batch_size=4, translate_px=0, net=net)
    splits = Splits.open(tmp_path, write_bars(tmp_path, weights), image_size=16, channels=1)
    everything = splits.train.fetch(np.arange(160), filled=0, epoch=0)
    standard = Standard.fit(everything.images)
    learner = Learner(standard.filters, 2, 1, recipe, CPU)
    steps = _steps(splits.train, 1, recipe, Ranks(), 0)
    with torch.no_grad():
        losses = [
            float(_loss(learner, standard, drawn, Ranks(), splits.weight))
            for drawn in _feed(splits.train, steps, CPU)
        ]
        logits = learner.predict(
            standard.scale(everything.images, recipe.memory_format), everything.ids, np.zeros(160)
        )
    known = everything.labels >= 0
    each = functional.cross_entropy(logits[known], everything.labels[known], reduction="none")
    true = float((each * everything.weights[known]).sum() / everything.weights[known].sum())
    assert np.isclose(np.mean(losses), true, rtol=1e-5)


def test_a_split_without_weight_is_refused(tmp_path: Path) -> None:
    """A split from which nothing can be learnt is told before training."""
    manifest = write_bars(tmp_path, np.zeros(260, np.float32))
    with pytest.raises(TrainingError, match=r"no row of train has a label and a weight above 0"):
        Splits.open(tmp_path, manifest, image_size=16, channels=1)


def test_one_rank_talks_to_nobody() -> None:
    """Alone the rows come back as they were."""
    ranks, rows = Ranks(), torch.arange(5)
    assert ranks.interleave(rows, 5) is rows
