"""The loader among processes: torch's workers, and ranks that torchrun started."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training.shards.samples import IMAGES, image_batch, write_raw
from training.dataset import Batch, ShardDataset
from training.loader import ShardLoader
from training.shards.manifest import Manifest

ROOT = Path(__file__).resolve().parents[2]
RANK = Path(__file__).parent / "one_rank.py"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """A small image store with its manifest."""
    out = tmp_path_factory.mktemp("store")
    return out, write_raw(out, image_batch(), IMAGES)


def _same(one: Batch, other: Batch) -> bool:
    return (
        one.rows.tolist() == other.rows.tolist()
        and one.ids.tolist() == other.ids.tolist()
        and one.images.equal(other.images)
        and one.labels.equal(other.labels)
        and one.weights.equal(other.weights)
        and one.epoch == other.epoch
    )


def test_workers_give_the_same_batches(store: tuple[Path, Manifest]):
    """Two worker processes, three batches ahead or none: the same batches and the same states."""
    dataset = ShardDataset(*store, "train", image_size=12, threads=2)
    runs = []
    for settings in ({"ahead": 0}, {"ahead": 3}, {"workers": 2}):
        loader = ShardLoader(dataset, 17, seed=3, ends="pad", **settings)
        runs.append([(batch, loader.state_dict()) for batch in loader])
    plain = runs[0]
    for run in runs[1:]:
        assert [state for _, state in run] == [state for _, state in plain]
        assert all(_same(a, b) for (a, _), (b, _) in zip(run, plain, strict=True))


def test_read_ahead_is_not_part_of_the_state(store: tuple[Path, Manifest]):
    """A state saved mid-epoch, whatever had been read ahead, resumes with the very next batch."""
    dataset = ShardDataset(*store, "train", image_size=12)
    whole = list(ShardLoader(dataset, 10, seed=5))
    for settings in ({"ahead": 4}, {"workers": 1}):
        first = ShardLoader(dataset, 10, seed=5, **settings)
        stream = iter(first)
        seen = [next(stream) for _ in range(3)]
        state = json.loads(json.dumps(first.state_dict()))
        stream.close()
        second = ShardLoader(dataset, 10, **settings)
        second.load_state_dict(state)
        rest = list(second)
        assert all(_same(a, b) for a, b in zip([*seen, *rest], whole, strict=True))


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_of_torchrun_share_an_epoch(store: tuple[Path, Manifest], tmp_path: Path, world: int):
    """Ranks under torchrun (gloo, DDP) read every row once, and learn what one process learns.

    The set does not divide by the step: padding at weight 0 keeps the ranks in step and the mean
    gradient exact. The state that rank 0 saved after two steps is gone on with by one process.
    """
    out, manifest = store
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(world),
        "--master-addr", "127.0.0.1", "--master-port", "0", "--standalone",
        str(RANK), str(out), str(tmp_path),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    told = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(world)]
    ids = [one for rank in told for one in rank["ids"]]
    assert len(ids) == len(set(ids)) == manifest.split("train").rows
    assert len({rank["steps"] for rank in told}) == 1
    assert all(rank["weights"] == told[0]["weights"] for rank in told)
    dataset = ShardDataset(out, manifest, "train", image_size=12, channels=1)
    resumed = ShardLoader(dataset, 8, seed=2)
    resumed.load_state_dict(told[0]["state"])
    rest = [one for batch in resumed for one in batch.ids.tolist()]
    before = [one for rank in told for one in rank["ids"][: rank["at_state"]]]
    assert sorted(before + rest) == sorted(ids)
    alone = _learn(ShardLoader(dataset, 8 * world, seed=2))
    together = torch.tensor(told[0]["weights"])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def _learn(batches: ShardLoader) -> torch.Tensor:
    """The weights that one process learns from an epoch, as the ranks do."""
    model = torch.nn.Linear(144, 3)
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for batch in batches:
        scores = model(batch.images.float().flatten(1) / 255)
        losses = torch.nn.functional.cross_entropy(scores, batch.labels, reduction="none")
        optimiser.zero_grad()
        ((losses * batch.weights).sum() / batch.weights.sum()).backward()
        optimiser.step()
    return model.weight.detach().flatten()
