from __future__ import annotations

import signal
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.training.test_heads_batched import clouds
from tests.training.test_trainer_runs import bars
from training.arms import Arms, TrainingData, raw_arm
from training.digests import pool_digest, rows_digest
from training.pool import open_pool, shared_pool

ROOT = Path(__file__).parents[2]
KILLED = """
import os, signal
from pathlib import Path
from tests.training.test_shared_pool import arms_of, bars, shared_pool
data = bars()
with shared_pool(Path({cache!r}), data, arms_of(data)):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def arms_of(data: TrainingData) -> Arms:
    """Raw rows, and the same as cleaned ones."""
    return Arms(raw_arm(data), replace(raw_arm(data), name="cleaned"))


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    """After kill -9 the copy of the rows lies in the cache until the next run shares its own."""
    command = [sys.executable, "-c", KILLED.format(cache=str(tmp_path))]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert (left / "images.npy").exists()
    (tmp_path / "finished.npz").touch()
    data = bars()
    with shared_pool(tmp_path, data, arms_of(data)) as folder:
        assert sorted(tmp_path.iterdir()) == sorted([folder, tmp_path / "finished.npz"])
    assert [path.name for path in tmp_path.iterdir()] == ["finished.npz"]


def test_a_living_run_keeps_its_rows(tmp_path: Path) -> None:
    """A run that shares the cache of another sweeps nothing of it, nor does either fail."""
    data = bars()
    with shared_pool(tmp_path, data, arms_of(data)) as first:
        with shared_pool(tmp_path, data, arms_of(data)) as second:
            assert first != second
        assert list(tmp_path.iterdir()) == [first]
        assert np.array_equal(open_pool(first)[0].images, data.images)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_rows_are_gone_when_the_work_failed(tmp_path: Path) -> None:
    """An error on the way leaves no folder behind."""
    data = bars()
    with pytest.raises(KeyError), shared_pool(tmp_path, data, arms_of(data)):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


shapes = arrays.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=4)
kinds = st.sampled_from([np.uint8, np.float32, np.int64])


@given(arrays.arrays(kinds, shapes), st.booleans())
def test_a_digest_is_that_of_the_copied_bytes(features: np.ndarray, turned: bool) -> None:
    """Bytes read where they lie, of whatever shape and order, are those of a contiguous copy."""
    features = features.T if turned else features
    n = len(features)
    labels, split = np.arange(n), np.zeros(n, np.int8)
    data = TrainingData("table", ("a",), labels.astype(str), labels, split, numbers=features)
    seen, held = xxhash.xxh3_128(), xxhash.xxh3_128()
    for array in (labels, split, features):
        seen.update(f"{array.dtype} {array.shape}".encode())
        seen.update(array.tobytes())
    for array in (labels, features):
        held.update(array.tobytes())
    assert pool_digest(data) == seen.hexdigest()
    assert rows_digest(data, 0) == held.hexdigest()


def test_a_digest_takes_no_memory_and_is_taken_once() -> None:
    """The rows are not copied for it, and a second plan over the same pool reads none of them."""
    data = replace(clouds(), numbers=np.ones((300, 20_000), np.float32))
    tracemalloc.start()
    first = pool_digest(data)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < data.numbers.nbytes / 10  # type: ignore[union-attr]
    data.numbers[:] = 0  # type: ignore[index]
    assert pool_digest(data) == first != pool_digest(replace(data))
