"""The loader: every row exactly once, whatever the ranks, resumes and workers."""

import json
import pickle
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.training.shards.samples import IMAGES, TABLE, image_batch, table_batch, write_raw
from training.dataset import ShardDataset
from training.errors import TrainingError
from training.loader import ShardLoader
from training.resident import load_resident
from training.shards import format as form
from training.shards import pages
from training.shards.manifest import Manifest
from training.shards.order import Blocks, open_order
from training.shards.pages import PageReader


class Rows:
    """A source whose batch is the row numbers themselves."""

    digest = "rows"

    def __init__(self, rows: int, blocks: Blocks | None = None) -> None:
        self.rows, self.blocks = rows, blocks

    def __len__(self) -> int:
        return self.rows

    def fetch(self, rows: NDArray[np.int64], **facts: int) -> list[int]:
        """Give the row numbers back, but those that only fill."""
        return rows.tolist()[: len(rows) - facts["filled"]]


def _play(
    source: Rows, plan: list[tuple[int, int, int]], batch_size: int, ends: str
) -> tuple[list[int], dict[str, Any]]:
    """One epoch over stretches of (world, steps, ahead): the rows in their global order, the end.

    The state passes as JSON through rank 0 of each stretch; ranks may read ahead of it.
    """
    state, order = None, []
    for world, steps, ahead in [*plan, (1, 10_000, 0)]:
        loaders = [
            ShardLoader(source, batch_size, seed=9, rank=r, world=world, ends=ends, ahead=ahead)
            for r in range(world)
        ]
        if state:
            for loader in loaders:
                loader.load_state_dict(json.loads(state))
        streams = [iter(loader) for loader in loaders]
        for _ in range(steps):
            batches = [next(stream, None) for stream in streams]
            if batches[0] is None:
                break
            order += _interleave(batches)
            states = {json.dumps(loader.state_dict()) for loader in loaders}
            (state,) = states
            if json.loads(state)["epoch"] == 1:
                return order, json.loads(state)
    return order, json.loads(state)


def _interleave(batches: list[list[int]]) -> list[int]:
    """The rows of one step in their global order: ranks take every world-th."""
    merged = np.empty(sum(map(len, batches)), np.int64)
    for rank, batch in enumerate(batches):
        merged[rank :: len(batches)] = batch
    return merged.tolist()


PLANS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 12), st.integers(0, 3)), max_size=5)
BLOCKS = st.none() | st.builds(Blocks, st.integers(1, 40), st.integers(1, 5))


@given(st.integers(1, 500), st.integers(1, 32), PLANS, st.sampled_from(["short", "pad"]), BLOCKS)
@settings(max_examples=200, deadline=None)
def test_every_row_exactly_once(
    rows: int, batch_size: int, plan: list[tuple[int, int, int]], ends: str, blocks: Blocks | None
):
    """Over 200 random plans of worlds, read-ahead, stops and resumes: one order, nothing lost."""
    source = Rows(rows, blocks)
    seen, state = _play(source, plan, batch_size, ends)
    assert sorted(seen) == list(range(rows))
    assert seen == open_order(rows, 9, 0, blocks).at(np.arange(rows)).tolist()
    assert (state["epoch"], state["cursor"]) == (1, 0)


@given(st.integers(1, 500), st.integers(1, 16), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_drop_last_gives_full_equal_batches(rows: int, batch_size: int, world: int):
    """With drop_last every batch is full, no row repeats and less than one step is missing."""
    loaders = [
        ShardLoader(Rows(rows), batch_size, rank=r, world=world, ends="drop") for r in range(world)
    ]
    seen = [batch for loader in loaders for batch in loader]
    flat = [row for batch in seen for row in batch]
    assert {len(batch) for batch in seen} <= {batch_size}
    assert len(set(flat)) == len(flat) > rows - batch_size * world
    assert len(seen) == sum(map(len, loaders))


def test_epochs_differ_and_repeat():
    """Two epochs have different orders, and a new loader with the same seed has the same two."""
    loader = ShardLoader(Rows(100), 100, seed=4)
    (first,), (second,) = loader, loader
    again = ShardLoader(Rows(100), 100, seed=4)
    assert first != second
    assert [*again, *again] == [first, second]


def test_wrong_state_is_refused():
    """A state of another manifest, or past the end, is refused in one sentence."""
    loader = ShardLoader(Rows(10), 2)
    with pytest.raises(TrainingError, match="another manifest"):
        loader.load_state_dict(loader.state_dict() | {"manifest": "other"})
    with pytest.raises(TrainingError, match="cursor is out of range"):
        loader.load_state_dict(loader.state_dict() | {"cursor": 10})
    with pytest.raises(TrainingError, match="0 <= rank < world"):
        ShardLoader(Rows(10), 2, rank=2, world=2)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    """A small image store with its manifest."""
    out = tmp_path_factory.mktemp("store")
    return out, write_raw(out, image_batch(), IMAGES)


def test_batches_hold_what_the_resident_holds(store: tuple[Path, Manifest]):
    """Every image, label and weight of the loader equals the resident's for the same key."""
    out, manifest = store
    whole = load_resident(out, manifest, "train", image_size=12, channels=1)
    dataset = ShardDataset(out, manifest, "train", image_size=12, channels=1)
    seen, facts = 0, dataset.read_facts()
    for batch in ShardLoader(dataset, 17, seed=3):
        keys = facts["key"].gather(batch.rows).to_list()
        places = torch.from_numpy(np.searchsorted(whole.keys, keys))
        assert batch.images.equal(whole.images[places])
        assert batch.labels.equal(whole.labels[places])
        assert batch.weights.equal(whole.weights[places])
        seen += len(keys)
    assert seen == len(whole) == len(dataset)


def test_lost_index_gives_the_same_images(store: tuple[Path, Manifest], tmp_path: Path):
    """Without byte indexes the images come the Arrow way and are the same."""
    out, manifest = store
    bare = tmp_path / "bare"
    (bare / "data").parent.mkdir()
    (bare / "data").symlink_to(out / "data")
    fast = ShardDataset(out, manifest, "train", image_size=12)
    slow = ShardDataset(bare, manifest, "train", image_size=12)
    rows = np.arange(len(fast))
    assert fast.fetch(rows).images.equal(slow.fetch(rows).images)
    assert fast._split.indexed
    assert not slow._split.indexed


def test_torch_data_loader_reads_it(store: tuple[Path, Manifest]):
    """Torch's own DataLoader gets every item, in order, from a dataset sent to another process."""
    dataset = ShardDataset(*store, "train", image_size=12)
    dataset.fetch(np.arange(3))  # opens files and starts threads, which must stay behind
    sent = pickle.loads(pickle.dumps(dataset))  # noqa: S301 - what a worker process gets
    loader = torch.utils.data.DataLoader(sent, batch_size=32)
    pairs = list(loader)
    numbers = [dataset.classes.index(label) for label in dataset.read_facts()["label"]]
    assert torch.cat([labels for _, labels in pairs]).tolist() == numbers
    assert torch.cat([images for images, _ in pairs])[5].equal(dataset[5][0])


def test_table_goes_to_the_resident(tmp_path: Path):
    """A table manifest is refused by the image dataset, which names the way to load it."""
    manifest = write_raw(tmp_path, table_batch(), TABLE)
    with pytest.raises(TrainingError, match="load_resident"):
        ShardDataset(tmp_path, manifest, "train")


@given(st.integers(1, 300), st.integers(1, 16), st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_padding_keeps_ranks_in_step(rows: int, batch_size: int, world: int):
    """With pad every rank takes equally many full batches; what fills them is marked as such."""

    class Counted(Rows):
        def fetch(self, rows: NDArray[np.int64], **facts: int) -> tuple[list[int], int]:
            return rows.tolist(), facts["filled"]

    runs = [
        list(ShardLoader(Counted(rows), batch_size, rank=r, world=world, ends="pad"))
        for r in range(world)
    ]
    assert len({len(run) for run in runs}) == 1
    batches = [batch for run in runs for batch in run]
    assert {len(found) for found, _ in batches} == {batch_size}
    real = [row for found, filled in batches for row in found[: len(found) - filled]]
    assert sorted(real) == list(range(rows))
    assert all(0 <= row < rows for found, _ in batches for row in found)


def test_filling_rows_weigh_nothing(store: tuple[Path, Manifest]):
    """The rows that fill a last batch have weight 0, all others the weight that they were given."""
    dataset = ShardDataset(*store, "train", image_size=12)
    batches = list(ShardLoader(dataset, 25, ends="pad"))
    weights = torch.cat([batch.weights for batch in batches])
    assert {len(batch) for batch in batches} == {25}
    assert weights.tolist() == [1.0] * len(dataset) + [0.0] * (len(weights) - len(dataset))


def test_packed_groups_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An archive is read by blocks, so that an epoch unpacks each row group once or twice."""
    monkeypatch.setattr(form, "ROW_GROUP_BYTES", 3_000)
    spec = replace(IMAGES, layout="archive")
    manifest = write_raw(tmp_path, image_batch(600), spec)
    calls: list[int] = []
    load = PageReader.load
    monkeypatch.setattr(
        pages, "_load", lru_cache(pages.GROUPS)(lambda *at: calls.append(1) or load(*at))
    )
    dataset = ShardDataset(tmp_path, manifest, "train", image_size=12)
    ids = [one for batch in ShardLoader(dataset, 16, seed=1) for one in batch.ids.tolist()]
    assert len(set(ids)) == len(ids) == manifest.split("train").rows
    groups = sum(shard.row_groups for shard in manifest.split("train").shards)
    assert groups > 3 * pages.GROUPS
    assert len(calls) <= 2 * groups
