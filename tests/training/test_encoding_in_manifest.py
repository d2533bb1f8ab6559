"""The encoding that a manifest holds: fitted on train, bounded, and the same when read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from tests.training.shards.samples import (
    IMAGES,
    TABLE,
    image_batch,
    table_batch,
    write_raw,
    write_without,
)
from training.encoder import fit_encoder
from training.encoding import encoder_of, fit_encoding
from training.shards.digest import KEYED
from training.shards.manifest import read_manifest
from training.store_arms import load_raw

FRAME = pl.DataFrame(pl.from_arrow(table_batch()))
FEATURES = FRAME.select(pl.exclude(*KEYED))


def test_a_manifest_read_back_encodes_alike(tmp_path: Path) -> None:
    """The encoder that a manifest holds is the one fitted on its train rows, bit for bit."""
    written = write_raw(tmp_path, table_batch(), TABLE)
    encoder = encoder_of(read_manifest(tmp_path, written.digest))
    assert encoder is not None
    fitted = fit_encoder(FEATURES.filter(FRAME["split"] == "train"))
    assert encoder == fitted
    for mine, other in zip(encoder.encode(FEATURES), fitted.encode(FEATURES), strict=True):
        assert np.array_equal(mine, other)


def test_the_trainer_reads_what_the_manifest_says(tmp_path: Path) -> None:
    """Rows that a trainer loads are encoded by the manifest's own encoder."""
    written = write_raw(tmp_path, table_batch(), TABLE)
    data = load_raw(tmp_path, written.digest)
    encoder = encoder_of(written)
    assert encoder is not None
    by_key = FRAME.sort(pl.col("split") != "train", "key").select(pl.exclude(*KEYED))
    assert np.array_equal(data.numbers, encoder.encode(by_key).numbers)


def test_test_rows_teach_nothing(tmp_path: Path) -> None:
    """Other values in test leave the encoding as it was."""
    other = FRAME.with_columns(
        size=pl.when(pl.col("split") == "test").then(1e6).otherwise("size"),
        word=pl.when(pl.col("split") == "test").then(pl.lit("new")).otherwise("word"),
    )
    batch = other.to_arrow().combine_chunks().to_batches()[0]
    one, two = (write_raw(tmp_path / n, b, TABLE) for n, b in (("a", table_batch()), ("b", batch)))
    assert one.encoding == two.encoding


def test_a_bounded_sample_is_fitted_on(tmp_path: Path) -> None:
    """Rows beyond the bound are left out by key, however they are spread over shards."""
    shards = write_raw(tmp_path, table_batch(), TABLE).split("train").shards
    assert len(shards) > 1
    told = fit_encoding(tmp_path, shards, fit_rows=50)
    first = FRAME.filter(pl.col("split") == "train").bottom_k(50, by="key")
    assert told == {
        "rows": 50,
        "columns": fit_encoder(first.select(pl.exclude(*KEYED))).to_plain(),
    }


def test_a_cleaned_set_has_the_encoding_of_its_parent(tmp_path: Path) -> None:
    """What the cleaning drops does not change how rows are read: all arms see them alike."""
    raw = write_raw(tmp_path, table_batch(), TABLE)
    dropped = set(FRAME.filter(pl.col("size") > 1)["key"])
    assert write_without(tmp_path, table_batch(), dropped, TABLE, raw).encoding == raw.encoding


def test_images_have_no_encoding(tmp_path: Path) -> None:
    """A manifest of images says nothing of an encoding, and its document is as it was."""
    written = write_raw(tmp_path, image_batch(), IMAGES)
    assert written.encoding is None
    assert b"encoding" not in (tmp_path / "manifests" / f"{written.digest}.json").read_bytes()
