"""The orders of an epoch: every row once, from any place on, over all rows or block by block."""

from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.errors import TrainingError
from training.loader import ShardLoader
from training.shards.order import BlockOrder, Blocks, EpochOrder, open_order

BLOCKS = st.builds(Blocks, st.integers(1, 90), st.integers(1, 9))


@given(st.integers(1, 3_000), st.integers(0, 2**31), st.integers(0, 99), BLOCKS)
@settings(max_examples=200)
def test_block_order_is_a_permutation(rows: int, seed: int, epoch: int, blocks: Blocks):
    """Every row comes once, and any stretch equals that part of the whole."""
    order = BlockOrder(rows, seed, epoch, blocks)
    whole = order.at(np.arange(rows))
    assert sorted(whole.tolist()) == list(range(rows))
    middle = np.arange(rows // 3, rows, 2)
    assert order.at(middle).tolist() == whole[middle].tolist()
    assert open_order(rows, seed, epoch, blocks).at(middle).tolist() == whole[middle].tolist()


@given(st.integers(1, 3_000), st.integers(0, 2**31), BLOCKS)
@settings(max_examples=200)
def test_few_blocks_are_open_at_a_time(rows: int, seed: int, blocks: Blocks):
    """At no place of the order are more blocks begun and not ended than a window holds."""
    order = BlockOrder(rows, seed, 0, blocks).at(np.arange(rows)) // blocks.rows
    first = np.unique(order, return_index=True)[1]
    last = rows - np.unique(order[::-1], return_index=True)[1]
    begun = np.bincount(first, minlength=rows + 1).cumsum()
    assert (begun - np.bincount(last, minlength=rows + 1).cumsum()).max() <= blocks.window


def _scatter(rows: NDArray[np.int64]) -> float:
    """How far the means of batches of 256 scatter."""
    return float(rows[: len(rows) // 256 * 256].reshape(-1, 256).mean(1).std())


def test_blocks_shuffle_as_well_as_told():
    """Sorted rows scatter 3.8 times as wide as under a full shuffle, hashed ones just as wide."""
    rows = np.arange(1_000_000)
    full = EpochOrder(len(rows), 5, 0).at(rows)
    found = BlockOrder(len(rows), 5, 0, Blocks(256, 16)).at(rows)
    hashed = np.random.default_rng(0).permutation(len(rows))[found]
    assert _scatter(found) / _scatter(full) == pytest.approx(3.8, abs=0.1)
    assert _scatter(hashed) / _scatter(full) == pytest.approx(1, abs=0.03)
    assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 0.06
    assert abs(np.corrcoef(hashed[:-1], hashed[1:])[0, 1]) < 0.003


@pytest.mark.parametrize("blocks", [None, Blocks(256, 16)])
def test_a_stretch_costs_itself(blocks: Blocks | None):
    """4,096 indices at 90 % of 100M rows take milliseconds, from the making of the order on."""
    positions, took = np.arange(90_000_000, 90_004_096), []
    for epoch in range(5):
        start = process_time()
        open_order(100_000_000, 1, epoch, blocks).at(positions)
        took.append(process_time() - start)
    assert min(took) < 0.01


def test_every_place_is_as_likely():
    """Over 2,000 seeds each row of a small epoch lands about equally often on each place."""
    counts = np.zeros((12, 12))
    for seed in range(2_000):
        counts[np.arange(12), BlockOrder(12, seed, 0, Blocks(3, 2)).at(np.arange(12))] += 1
    expected = 2_000 / 12
    assert ((counts - expected) ** 2 / expected).sum() < 190  # 121 degrees, p = 5e-5


class _Rows:
    """A source that would be read in blocks."""

    digest, blocks = "rows", Blocks(7, 3)

    def __len__(self) -> int:
        return 500

    def fetch(self, rows: NDArray[np.int64], **_: int) -> list[int]:
        """Give the row numbers back."""
        return rows.tolist()


def test_loader_takes_the_order_of_the_source():
    """A loader orders as its source says, or as it is asked; either way every row comes once."""
    own, asked, full = (
        [row for batch in ShardLoader(_Rows(), 16, order=order) for row in batch]
        for order in (None, Blocks(7, 3), "full")
    )
    assert own == asked != full
    assert sorted(own) == sorted(full) == list(range(500))
    assert full == EpochOrder(500, 0, 0).at(np.arange(500)).tolist()


def test_state_goes_on_in_its_own_order():
    """A state saved under one order is followed under it by a loader that would take another."""
    first = ShardLoader(_Rows(), 16, seed=2)
    stream = iter(first)
    seen = [row for _ in range(9) for row in next(stream)]
    state = first.state_dict()
    second = ShardLoader(_Rows(), 16, order="full")
    second.load_state_dict(state)
    seen += [row for batch in second for row in batch]
    assert seen == [row for batch in ShardLoader(_Rows(), 16, seed=2) for row in batch]
    assert second.state_dict()["order"] == {"rows": 7, "window": 3}


def test_nothing_to_order_is_refused():
    """No rows, or blocks without rows, are refused in one sentence."""
    with pytest.raises(TrainingError, match="nothing to order"):
        open_order(0, 0, 0, Blocks(1, 1))
    with pytest.raises(TrainingError, match="blocks need rows >= 1"):
        Blocks(0, 1)
