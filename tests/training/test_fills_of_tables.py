"""Filled cells beside the shards: kept with their types, proven, read by the arm they are of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from tests.training.shards.samples import TABLE, decisions_of, flip, samples_of, table_batch
from training.arms import Arms, TrainingData, guard_arm, mix, raw_arm
from training.encoding import encoder_of
from training.errors import DamageError, TrainingError
from training.fills import Fills, as_type, fill_rows, read_fills
from training.heads import Rows, train_heads
from training.pool import open_pool, share_pool
from training.recipe import Recipe
from training.shards.damage import verify
from training.shards.ledger import build_ledger
from training.shards.manifest import Manifest
from training.shards.writer import write_manifest

FRAME = pl.DataFrame(pl.from_arrow(table_batch()))
RECIPE = Recipe("probe", 20, 16, 1e-2, 0.1, evals=2, hidden=8)


def write_filled(out: Path) -> tuple[Manifest, Manifest]:
    """Raw shards, and cleaned ones in which every gap of `gap` is 3; test keeps its gaps."""
    raw = write_manifest(out, [table_batch()], build_ledger(samples_of(table_batch())), TABLE)
    holes = FRAME.filter(pl.col("gap").is_null())
    cells = holes.select("key", "split", column=pl.lit("gap"), value=pl.lit("3"))
    train = (pl.col("split") == "train") & pl.col("gap").is_null()
    frame = FRAME.with_columns(gap=pl.when(train).then(3.0).otherwise("gap"))
    filled = pl.col("sample_id").is_in(frame.filter(pl.col("gap") == 3)["key"].implode())
    decided = decisions_of(table_batch(), set()).with_columns(
        outcome=pl.when(filled).then(pl.lit("repaired")).otherwise("outcome")
    )
    ledger = build_ledger(samples_of(table_batch()), decided)
    batches = frame.to_arrow().combine_chunks().to_batches()
    fitted = {"gap": {"method": "median", "value": "3"}}
    cleaned = write_manifest(
        out, batches, ledger, TABLE, parent=raw.digest, make_current=True,
        fills=Fills(cells, indicator=True, fitted=fitted),
    )  # fmt: skip
    return raw, cleaned


@pytest.mark.parametrize(
    "values",
    [
        [1, 2], [0.25, 1e300], [True, False], ["x", "y"], [date(2024, 2, 29)],
        [datetime(2024, 1, 2, 3, 4, 5, 678)], [time(1, 2, 3)],  # noqa: DTZ001 - as files hold them
        [datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=UTC)],
    ],
)  # fmt: skip
def test_the_text_of_a_cell_reads_back(values: list[object]) -> None:
    """What a cell is told as in the repairs is the value that comes back, type and all."""
    column = pl.Series("x", values)
    read = column.cast(pl.String).to_frame().select(as_type(pl.col("x"), column.dtype)).to_series()
    assert read.equals(column)
    assert read.dtype == column.dtype


def test_filled_rows_keep_types_and_other_cells() -> None:
    """Only the cells that are named change; a value that does not fit leaves nothing else."""
    frame = pl.DataFrame({"n": [1, None, 3], "t": ["a", None, None]})
    cells = pl.DataFrame({"key": ["b", "c", "z"], "column": ["n", "t", "n"],
                          "value": ["2", "u", "9"]})  # fmt: skip
    got = fill_rows(frame, pl.Series(["a", "b", "c"]), cells)
    assert got.to_dict(as_series=False) == {"n": [1, 2, 3], "t": ["a", None, "u"]}


def test_a_manifest_names_what_was_filled(tmp_path: Path) -> None:
    """Cells, method and indicator are read back from the store, and the encoding stays raw's."""
    raw, cleaned = write_filled(tmp_path)
    fills = read_fills(tmp_path, cleaned)
    assert fills is not None
    assert fills.cells.height == FRAME["gap"].null_count()
    assert fills.fitted["gap"]["value"] == "3"
    assert encoder_of(cleaned) == encoder_of(raw)
    assert read_fills(tmp_path, raw) is None
    assert verify(tmp_path) == []


def test_damage_to_filled_cells_is_found(tmp_path: Path) -> None:
    """A flipped bit in the file of filled cells is named, and it is not read."""
    _, cleaned = write_filled(tmp_path)
    assert cleaned.fills is not None
    flip(tmp_path / cleaned.fills.path, 400)
    assert [damage.path for damage in verify(tmp_path)] == [cleaned.fills.path]
    with pytest.raises(DamageError, match="filled cells are not what was written"):
        read_fills(tmp_path, cleaned)


def _pool() -> TrainingData:
    """Forty rows of one number that tells the class, and twins of the test rows that lie."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    split = np.repeat([0, 0, 1, 2], 10).astype(np.int8)
    numbers = (labels * 2 - 1 + rng.normal(0, 0.1, 40)).astype(np.float32)[:, None]
    twins = -numbers[split == 2]
    return TrainingData("table", ("a", "b"), np.array([f"k{i}" for i in range(40)]), labels, split,
                        numbers=np.concatenate([numbers, twins]))  # fmt: skip


def test_each_arm_predicts_from_its_own_rows() -> None:
    """An arm whose test rows are read from lying twins gets them all wrong, another all right."""
    data = _pool()
    raw = raw_arm(data)
    held = np.arange(40)
    held[data.rows_of(2)] = np.arange(40, 50)
    other = replace(raw, name="cleaned", held=held)
    guard_arm(data, other)
    runs = train_heads(Rows(data, torch.device("cpu")), [(raw, 0), (other, 0)], RECIPE)
    truth = data.labels[data.rows_of(2)]
    assert (runs[0].test_pred == truth).all()
    assert (runs[1].test_pred != truth).all()
    alone = train_heads(Rows(data, torch.device("cpu")), [(raw, 0)], RECIPE)[0]
    assert alone.test_nll == pytest.approx(runs[0].test_nll)


def test_an_arm_cannot_predict_from_another_sample() -> None:
    """A held-out row may be read from a twin, never from a row of another sample."""
    data = _pool()
    stolen = np.arange(40)
    stolen[35] = 3
    with pytest.raises(TrainingError, match="predicts from other samples' rows"):
        guard_arm(data, replace(raw_arm(data), held=stolen))


def test_mixtures_read_as_the_arm_that_they_mostly_are() -> None:
    """Changing the filled rows alone takes their way of reading; changing others does not."""
    data = _pool()
    raw = raw_arm(data)
    rows = raw.rows.copy()
    rows[:4] = np.arange(40, 44)
    treated = replace(raw, rows=rows, held=np.arange(40))
    first = np.arange(raw.rows.size) < 4
    assert mix("only:fill:x", raw, treated, first).held is not None
    assert mix("only:other", raw, treated, ~first).held is None


def test_workers_get_the_way_of_reading(tmp_path: Path) -> None:
    """What is shared with workers holds each arm's held-out rows, and none where there are none."""
    data = _pool()
    raw = raw_arm(data)
    share_pool(tmp_path, data, Arms(raw, replace(raw, name="cleaned", held=np.arange(40))))
    _, arms = open_pool(tmp_path)
    assert arms.raw.held is None
    assert arms.cleaned.held is not None
    assert np.array_equal(arms.cleaned.held, np.arange(40))
