import json
import subprocess
import sys
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch
from PIL import Image

from tests.training.shards.samples import IMAGES, write_raw
from tests.training.test_trainer_runs import CPU, bars
from training.arms import raw_arm
from training.checkpoint import Checkpoint
from training.distributed import main, read_recipe
from training.errors import TrainingError
from training.experiment import curve_frame
from training.jobs import repeatable
from training.models import Net
from training.ranks import Ranks
from training.recipe import Recipe
from training.shards.manifest import Manifest, read_manifest
from training.streamed import Splits, train_streamed
from training.trainer import Pictures, Run, train

ROOT = Path(__file__).parents[2]
RECIPE = Recipe("train", 30, 32, 0.05, 5e-4, evals=3, net=Net(widths=(8, 16)))
Store = tuple[Path, Manifest]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The bars as shards: 160 of train, 50 of val, 50 of test; one has no label."""
    out = tmp_path_factory.mktemp("bars")
    data = bars(side=16)
    assert data.images is not None
    names = np.array(["train", "val", "test"])[data.split]
    labels = [None if n == 3 else data.classes[label] for n, label in enumerate(data.labels)]
    batch = pa.record_batch(
        {
            "key": [f"{n * 2_654_435_761 % 2**32:032x}-0" for n in range(labels.__len__())],
            "label": labels,
            "split": names.tolist(),
            "image": [_png(image[0]) for image in data.images],
        }
    )
    return out, write_raw(out, batch, IMAGES)


def _png(pixels: object) -> bytes:
    sink = BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")  # type: ignore[arg-type]
    return sink.getvalue()


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


def test_the_command_trains_alone(store: Store, alone: tuple[Run, pl.DataFrame], tmp_path: Path):
    """Without torchrun the command is one process, with the same bits as the function."""
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(asdict(RECIPE)))
    words = ["--out", str(tmp_path), "--seed", "1", "--image-size", "16", "--channels", "1"]
    main([str(store[0]), store[1].digest, str(recipe), *words, "--device", "cpu"])
    curve = pl.read_parquet(tmp_path / "curves.parquet")
    assert curve["val_nll"].to_list() == alone[1]["val_nll"].to_list()


def test_ranks_must_share_a_batch(store: Store) -> None:
    """A batch that the ranks cannot share evenly is refused."""
    with pytest.raises(TrainingError, match=r"shared evenly \(got 32\)"):
        train_streamed(_open(store), 1, RECIPE, ranks=Ranks(0, 3))


def test_blocks_freeze_in_one_process_only(store: Store) -> None:
    """A streamed run heeds the schedule; several ranks refuse it."""
    frozen = replace(RECIPE, freeze=(0.0, 0.0))
    with pytest.raises(TrainingError, match=r"only one process can freeze blocks \(got 2\)"):
        train_streamed(_open(store), 1, frozen, ranks=Ranks(0, 2))


def test_recipes_are_read_back(store: Store) -> None:
    """A recipe survives JSON; what is no field is told by its name."""
    assert read_manifest(store[0], store[1].digest) == store[1]
    recipe = replace(RECIPE, schedule="wsd", freeze=(0.5, 1.0), net=Net("resnet18", norm="group"))
    assert read_recipe(json.loads(json.dumps(asdict(recipe)))) == recipe
    with pytest.raises(TrainingError, match=r"recipe: .*'epochs'.*Fields: tier, steps"):
        read_recipe({**asdict(recipe), "epochs": 3})
    with pytest.raises(TrainingError, match=r"lacks a field \(got 'lr'\)"):
        read_recipe({"tier": "train", "steps": 3, "batch_size": 2})


def test_one_rank_talks_to_nobody() -> None:
    """Alone a sum is the value itself and rows come back as they were."""
    ranks, rows = Ranks(), torch.arange(5)
    assert ranks.total(torch.tensor(3.0)).item() == 3
    assert ranks.interleave(rows, 5) is rows
