"""A made-up run folder: its source, its samples, and how its tables are written."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
import xxhash
from PIL import Image

from checks.core.check import Check
from flows.app.store import RunFolder


@dataclass
class MadeSource:
    """Stands for an opened source: pictures by uri, or a table's frame."""

    modality: str
    content: Any

    def read_bytes(self, entries: pl.DataFrame) -> Iterator[bytes | OSError]:
        """Yield the bytes of each entry in order; an entry that is not there is an OSError."""
        for uri in entries["uri"]:
            yield self.content.get(uri, OSError("gone"))

    def scan(self) -> pl.LazyFrame:
        """Return the table."""
        return self.content.lazy()


@dataclass
class MadeRun:
    """A run folder with what a report of it needs."""

    path: Path
    source: MadeSource
    truth: pl.DataFrame | None
    checks: dict[str, Check]

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of `build_report` for this run."""
        return {"source": self.source, "truth": self.truth, "checks": self.checks}


def make_check(check_id: str, summary: str, why: str, **params: object) -> Check:
    """Return a check that only has a documentation."""
    doc = f"{summary}\n\nWhy: {why}\nSource: made up."
    return Check(
        id=check_id, kind="row", modality="any", dimension="low_quality", severity="warning",
        action="review", needs=(), params=MappingProxyType(params), examples=(), doc=doc,
        function=lambda: None,
    )  # fmt: skip


def draw_digit(rng: np.random.Generator, digit: int, light: int = 16) -> bytes:
    """Return a 28 x 28 bitmap of a ring or a bar: the same bytes with any library and processor."""
    y, x = np.mgrid[0:28, 0:28]
    distance = (2 * x - 27) ** 2 + (2 * y - 27) ** 2
    ring = 255 - abs(distance - (8 + 3 * digit) ** 2)
    bar = np.where(abs(2 * y - 27) < 20, 255 - 60 * abs(x - 8 - digit), 0)
    grey = np.clip(ring if digit % 2 else bar, 0, 255) * light // 16 + rng.integers(0, 9, (28, 28))
    out = io.BytesIO()
    Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(out, "BMP")
    return out.getvalue()


def make_images(rng: np.random.Generator, count: int = 120) -> dict[str, bytes]:
    """Return pictures by uri; the last ten are a copy, dark or broken."""
    uris = [f"{i % 10}/digit_{i:04d}.bmp" for i in range(count)]
    pictures = {uri: draw_digit(rng, i % 10) for i, uri in enumerate(uris)}
    for i in range(4):
        pictures[uris[count - 10 + i]] = pictures[uris[i]]
        pictures[uris[count - 5 + i]] = draw_digit(rng, (count - 5 + i) % 10, light=1)
    pictures[uris[-1]] = pictures[uris[-1]][:60]
    return pictures


def identify(places: list[tuple[str, int, bytes]], label: Callable[[int], str]) -> pl.DataFrame:
    """Return tables.Samples of contents in order of (uri, row)."""
    seen: dict[str, int] = {}
    rows = []
    for i, (uri, row, content) in enumerate(sorted(places)):
        digest = xxhash.xxh3_128_hexdigest(content)
        occurrence = seen[digest] = seen.get(digest, -1) + 1
        split = "test" if i % 10 == 9 else "val" if i % 10 == 8 else "train"
        rows.append((f"{digest}-{occurrence}", split, label(i), uri, row, len(content), digest))
    schema = {"sample_id": pl.String, "split": pl.String, "label": pl.String, "uri": pl.String,
              "row": pl.Int64, "byte_size": pl.Int64, "xxh3_128": pl.String}  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row").sort("sample_id")


def find(check_id: str, ids: list[str], **told: Any) -> pl.DataFrame:
    """Return findings of one check; `told` holds lists or single values of the other columns."""
    defaults = {"column": None, "dimension": "low_quality", "severity": "warning", "value": None,
                "threshold": None, "evidence": "", "suggestion": None}  # fmt: skip
    frame = pl.DataFrame({"sample_id": ids}).with_columns(check_id=pl.lit(check_id))
    for name, default in defaults.items():
        value = told.get(name, default)
        dtype = pl.Float64 if name in ("value", "threshold") else pl.String
        frame = frame.with_columns(
            pl.Series(name, value, dtype) if isinstance(value, list)
            else pl.lit(value, dtype).alias(name)
        )  # fmt: skip
    return frame


def decide(samples: pl.DataFrame, acts: dict[str, tuple[str, str, str]]) -> pl.DataFrame:
    """Return tables.Decisions; `acts` holds action, outcome and check for some sample ids."""
    rows = [
        {
            "sample_id": sample_id, "action": action, "outcome": outcome,
            "weight": {"drop": 0.0, "down_weight": 0.25}.get(action, 1.0),
            "new_label": None, "check_ids": [check] if check else [], "decided_by": "policy",
        }
        for sample_id in samples["sample_id"]
        for action, outcome, check in [acts.get(sample_id, ("keep", "kept", ""))]
    ]  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={
        "weight": pl.Float32, "new_label": pl.String, "check_ids": pl.List(pl.String),
    })  # fmt: skip


def write_run(path: Path, tables: dict[str, pl.DataFrame], documents: dict[str, Any]) -> None:
    """Write a run folder through the store, so that every table is guarded."""
    path.mkdir(parents=True)
    folder = RunFolder(path)
    for name, frame in tables.items():
        folder.write_table(name, frame)
    for name, document in documents.items():
        folder.write_json(f"{name}.json", document)
    digests = {"raw_manifest": "a" * 64, "cleaned_manifest": "b" * 64}
    cap = "cap reached: 3 more would go over 10% of the 96 train samples; down-weighted instead"
    folder.write_json("clean.json", {**digests, "caps": [cap]})
    calibration = {"noise_floor": 0.04, "estimated_precision": 0.86, "planted_recall": 0.91}
    folder.write_json("checks.json", {"facts": {"unlikely_label": calibration}})
    (path / "data_docs").mkdir()
    (path / "data_docs" / "index.html").write_text("<!doctype html>")
