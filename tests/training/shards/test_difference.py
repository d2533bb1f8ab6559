"""The difference between manifests: each change told apart, counted, and with the ledger's why."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.training.shards.samples import TABLE, decisions_of, samples_of, table_batch, write_raw
from training.shards import difference
from training.shards.difference import (
    count_changes,
    count_evaluated,
    count_reasons,
    diff,
    list_changes,
)
from training.shards.ledger import build_ledger
from training.shards.manifest import Manifest
from training.shards.writer import ShardSpec, write_manifest

FRAME = pl.DataFrame(pl.from_arrow(table_batch(60)))
KEYS = FRAME["key"].to_list()


def store_rows(out: Path, rows: pl.DataFrame, spec: ShardSpec = TABLE) -> Manifest:
    """Write rows that nobody decided about."""
    batch = rows.to_arrow()
    return write_manifest(out, batch.to_batches(), build_ledger(samples_of(batch)), spec)


def test_moved_samples_are_told(tmp_path: Path):
    """A sample that went to another split is moved, and nothing else."""
    moved = FRAME.with_columns(
        split=pl.when(pl.col("key") == KEYS[1]).then(pl.lit("val")).otherwise("split")
    )
    changes = list_changes(tmp_path, store_rows(tmp_path, FRAME), store_rows(tmp_path, moved))
    assert changes.rows() == [(KEYS[1], "moved", "train", "c1", "val", "c1")]
    assert count_changes(changes).rows() == [("moved", "train", "c1", 1)]


def test_a_lost_and_a_found_label_are_relabelled(tmp_path: Path):
    """A label that became null and one that was null are changes, told with both labels."""
    place = pl.col("key")
    none = pl.lit(None, pl.String)
    old = FRAME.with_columns(label=pl.when(place == KEYS[2]).then(none).otherwise("label"))
    new = FRAME.with_columns(label=pl.when(place == KEYS[3]).then(none).otherwise("label"))
    changes = list_changes(tmp_path, store_rows(tmp_path, old), store_rows(tmp_path, new))
    assert set(changes.select("key", "change", "label", "label_new").rows()) == {
        (KEYS[2], "relabelled", None, "c2"),
        (KEYS[3], "relabelled", "c0", None),
    }
    assert count_changes(changes).rows() == [
        ("relabelled", "train", None, 1),
        ("relabelled", "train", "c0", 1),
    ]


def test_strangers_are_compared_too(tmp_path: Path):
    """Two manifests of other sizes with no common parent differ by what is in them alone."""
    left = store_rows(tmp_path, FRAME[:-1])
    right = store_rows(tmp_path, FRAME[1:], ShardSpec(name="one", kind="table"))
    assert len(left.shards) != len(right.shards)
    expected = {(KEYS[0], "dropped"), (KEYS[-1], "added")}
    assert set(diff(tmp_path, left, right).rows()) == expected
    counted = count_changes(list_changes(tmp_path, left, right))
    assert counted.rows() == [("added", "train", "c2", 1), ("dropped", "test", "c0", 1)]


def test_only_shards_that_differ_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A manifest is the same as itself without a look at any shard."""
    manifest = store_rows(tmp_path, FRAME)
    monkeypatch.setattr(difference, "read_columns", None)
    assert list_changes(tmp_path, manifest, manifest).is_empty()


def test_what_people_changed_outside_of_train_is_counted(tmp_path: Path):
    """Of what was dropped from test, what the ledger says that a person did counts; train never."""
    batch = table_batch(60)
    raw = write_raw(tmp_path, batch, TABLE, make_current=False)
    test, train = (FRAME.filter(split=name)["key"].to_list() for name in ("test", "train"))
    dropped = {*test[:3], *train[:2]}
    by_hand = pl.col("sample_id").is_in([*test[:2], train[0]])
    decided = decisions_of(batch, dropped).with_columns(
        decided_by=pl.when(by_hand).then(pl.lit("ada")).otherwise("decided_by")
    )
    rows = FRAME.filter(~pl.col("key").is_in(sorted(dropped))).to_arrow().to_batches()
    cleaned = write_manifest(tmp_path, rows, build_ledger(samples_of(batch), decided), TABLE,
                             parent=raw.digest)  # fmt: skip
    changes = list_changes(tmp_path, raw, cleaned)
    assert count_evaluated(tmp_path, cleaned, changes) == {"test": 2}
    assert count_evaluated(tmp_path, raw, list_changes(tmp_path, raw, raw)) == {}


def test_reasons_are_the_ledgers(tmp_path: Path):
    """Each dropped sample counts once under each check that its ledger row names."""
    batch = FRAME.to_arrow()
    raw = write_raw(tmp_path, table_batch(60), TABLE, make_current=False)
    dropped = set(KEYS[:4])
    blamed = [(KEYS[0], "too_dark"), (KEYS[1], "too_dark"), (KEYS[1], "blurry"),
              (KEYS[1], "blurry"), (KEYS[2], "blurry"), (KEYS[9], "blurry")]  # fmt: skip
    findings = pl.DataFrame(
        {
            "sample_id": [key for key, _ in blamed],
            "check_id": [check for _, check in blamed],
            "column": [None, None, "a", "b", None, None],
            "dimension": "low_quality",
            "severity": "error",
            "value": 0.5,
            "threshold": 0.1,
            "evidence": "",
            "suggestion": None,
        },
        schema_overrides={"column": pl.String, "suggestion": pl.String},
    )
    books = build_ledger(samples_of(batch), decisions_of(batch, dropped), findings)
    kept = FRAME.filter(~pl.col("key").is_in(sorted(dropped))).to_arrow().to_batches()
    cleaned = write_manifest(tmp_path, kept, books, TABLE, parent=raw.digest)
    reasons = count_reasons(tmp_path, cleaned, list_changes(tmp_path, raw, cleaned))
    assert reasons.rows() == [("blurry", 2), ("too_dark", 2), (None, 1)]
    back = count_reasons(tmp_path, raw, list_changes(tmp_path, cleaned, raw))
    assert back.is_empty()
