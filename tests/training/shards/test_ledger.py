"""The ledger: books that do not balance stop the write."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from tests.training.shards.samples import TABLE, decisions_of, samples_of, table_batch, write_raw
from training.errors import LedgerError
from training.shards.ledger import LEDGER_SCHEMA, build_ledger, conform, read_ledger
from training.shards.writer import write_manifest

BATCH = table_batch(40)
KEYS = BATCH.column("key").to_pylist()


def _without_last() -> tuple[Any, Any]:
    return BATCH.slice(0, 39), build_ledger(samples_of(BATCH))


def _unknown_to_ledger() -> tuple[Any, Any]:
    return BATCH, build_ledger(samples_of(BATCH)[:-1])


def _dropped_but_stored() -> tuple[Any, Any]:
    return BATCH, build_ledger(samples_of(BATCH), decisions_of(BATCH, {KEYS[3]}))


def _twice_in_shards() -> tuple[Any, Any]:
    return pa.concat_batches([BATCH, BATCH.slice(5, 1)]), build_ledger(samples_of(BATCH))


def _twice_in_ledger() -> tuple[Any, Any]:
    once = build_ledger(samples_of(BATCH))
    return BATCH, pa.concat_tables([once, once.slice(5, 1)])


def _moved() -> tuple[Any, Any]:
    moved = samples_of(BATCH).with_columns(split=pl.lit("val"))
    return BATCH, build_ledger(moved)


def _undecided() -> tuple[Any, Any]:
    return BATCH, build_ledger(samples_of(BATCH), decisions_of(BATCH, set())[:-1])


@pytest.mark.parametrize(
    ("case", "told"),
    [
        (_without_last, "1 samples are kept but in no shard"),
        (_unknown_to_ledger, "1 samples are in a shard but not kept"),
        (_dropped_but_stored, "1 samples are in a shard but not kept"),
        (_twice_in_shards, "2 samples stand in the shards twice"),
        (_twice_in_ledger, "2 samples stand in the ledger twice"),
        (_moved, "40 samples changed their split"),
        (_undecided, "1 samples have no outcome"),
    ],
)
def test_broken_conservation_is_refused(
    tmp_path: Path, case: Callable[[], tuple[Any, Any]], told: str
):
    """A lost, invented, doubled, moved or undecided sample stops the write before CURRENT moves."""
    batch, ledger = case()
    with pytest.raises(LedgerError, match=told):
        write_manifest(tmp_path, [batch], ledger, TABLE, make_current=True)
    assert not (tmp_path / "CURRENT").exists()
    assert not (tmp_path / "manifests").exists()


def test_every_input_has_one_outcome(tmp_path: Path):
    """Kept and dropped add up to the input, in the ledger and in the manifest's splits."""
    dropped = set(KEYS[5:9])
    kept = BATCH.filter(pa.array([key not in dropped for key in KEYS]))
    books = build_ledger(samples_of(BATCH), decisions_of(BATCH, dropped))
    manifest = write_manifest(tmp_path, [kept], books, TABLE)
    counts = read_ledger(tmp_path, manifest)["outcome"].value_counts().rows()
    assert dict(counts) == {"kept": 36, "dropped": 4}
    assert sum(split.rows_in for split in manifest.splits.values()) == 40
    assert sum(split.dropped for split in manifest.splits.values()) == 4


def test_findings_become_reasons():
    """Each finding is one reason with its check's version; a duplicate names what is kept."""
    findings = pl.DataFrame(
        {
            "sample_id": [KEYS[2], KEYS[2]],
            "check_id": ["exact_duplicate", "blank_text"],
            "column": [None, "word"],
            "dimension": ["duplicate", "missing"],
            "severity": ["error", "warning"],
            "value": [0.0, None],
            "threshold": [0.0, None],
            "evidence": ["the same bytes", "only blanks"],
            "suggestion": [KEYS[1], "x"],
        },
        schema_overrides={"column": pl.String},
    )
    ledger = build_ledger(samples_of(BATCH), None, findings, versions={"exact_duplicate": 3})
    row = ledger.filter(pa.compute.field("key") == KEYS[2]).to_pylist()[0]
    told = [(r["check_id"], r["check_version"], r["rule"]) for r in row["reasons"]]
    assert told == [("blank_text", 1, "only blanks"), ("exact_duplicate", 3, "the same bytes")]
    assert row["dup_of"] == KEYS[1]


def test_relabelled_sample_shows_both_labels(tmp_path: Path):
    """A relabelled sample counts as kept and the ledger holds its label before and after."""
    decisions = decisions_of(BATCH, set()).with_columns(
        new_label=pl.when(pl.col("sample_id") == KEYS[4]).then(pl.lit("c9"))
    )
    label = pa.array(
        ["c9" if k == KEYS[4] else v for k, v in zip(KEYS, BATCH["label"].to_pylist(), strict=True)]
    )
    batch = BATCH.set_column(1, "label", label).append_column("label_orig", BATCH["label"])
    manifest = write_manifest(tmp_path, [batch], build_ledger(samples_of(BATCH), decisions), TABLE)
    row = read_ledger(tmp_path, manifest).filter(pl.col("key") == KEYS[4])
    assert row.select("label_before", "label_after", "outcome").row(0) == ("c1", "c9", "kept")


def test_ledger_form_is_held():
    """Unknown and missing columns are named, and absent optional ones become null."""
    with pytest.raises(LedgerError, match=r"columns are missing \(got \['split'"):
        conform(pa.table({"key": ["a"]}))
    with pytest.raises(LedgerError, match=r"unknown columns \(got \['colour'\]\)"):
        conform(build_ledger(samples_of(BATCH)).append_column("colour", pa.array(KEYS)))
    least = {"key": ["a"], "split": ["train"], "action": ["keep"], "outcome": ["kept"]}
    assert conform(pa.table(least)).schema.equals(LEDGER_SCHEMA)


def test_decisions_about_strangers_are_refused():
    """A decision on a sample that is not in the input is an error, not silently ignored."""
    with pytest.raises(LedgerError, match="decisions are about unknown samples"):
        build_ledger(samples_of(BATCH)[:-1], decisions_of(BATCH, set()))


def test_empty_shards_of_a_split_are_told(tmp_path: Path):
    """A split that lost all its samples stays in the manifest with zero rows."""
    dropped = set(BATCH.filter(pa.compute.equal(BATCH["split"], "test"))["key"].to_pylist())
    raw = write_raw(tmp_path, BATCH, TABLE)
    kept = BATCH.filter(pa.compute.equal(BATCH["split"], "train"))
    books = build_ledger(samples_of(BATCH), decisions_of(BATCH, dropped))
    manifest = write_manifest(tmp_path, [kept], books, TABLE, parent=raw.digest)
    split = manifest.split("test")
    assert (split.rows, split.rows_in, split.dropped, split.shards) == (0, 8, 8, ())
