"""A folder that `datasets.load_dataset` and the Hugging Face Hub read: our shards and a card.

Shards are in that form already, so they are copied as they are, under the names of the Hub. The
card says which file is in which split and what each column holds; `datasets` checks the counts.

Source of the form: huggingface.co/docs/hub/datasets-manual-configuration.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from training.errors import DamageError, TrainingError
from training.export.folder import Tell, opened
from training.export.rows import stored_schema
from training.shards.manifest import Manifest, Shard
from training.shards.store import StoredFile, file_digest

_CHUNK = 1 << 20
_CARD = """---
{front}---

# {name}

{rows} samples in {classes} classes, written by Gristmill.

| split | samples | dropped by cleaning |
|---|---|---|
{table}

Each row holds the hash of its content (`xxh3_128`), the label that it came with (`label_orig`)
and the weight that cleaning gave it. Manifest: `{digest}`.
"""


def write_split(
    out: Path, manifest: Manifest, split: str, folder: Path, *, link: bool, tell: Tell
) -> list[StoredFile]:
    """Place the shards of a split as `data/<split>-00000-of-0000N.parquet`; return their entries.

    link: hard links to the store's files instead of copies.

    Raises:
        DamageError: if a shard is not what was written.
    """
    shards = manifest.split(split).shards
    entries = []
    for number, shard in enumerate(shards):
        name = f"data/{hub_name(split)}-{number:05d}-of-{len(shards):05d}.parquet"
        (folder / name).parent.mkdir(exist_ok=True)
        (_link if link else _copy)(out, shard, folder / name)
        entries.append(StoredFile(name, shard.bytes, shard.sha256, shard.rows))
        tell(shard.rows)
    return entries


def hub_name(split: str) -> str:
    """Return the name that a split has on the Hub: word characters only.

    >>> hub_name("test-2.b")
    'test_2_b'
    """
    return re.sub(r"\W", "_", split)


def _copy(out: Path, shard: Shard, target: Path) -> None:
    state = hashlib.sha256()
    try:
        with (out / shard.path).open("rb") as source, opened(target) as file:
            while chunk := source.read(_CHUNK):
                state.update(chunk)
                file.write(chunk)
    except FileNotFoundError as missing:
        raise DamageError(shard.path, None, "the shard is missing") from missing
    if state.hexdigest() != shard.sha256:
        raise DamageError(shard.path, None, "the shard is not what was written")


def _link(out: Path, shard: Shard, target: Path) -> None:
    if file_digest(out / shard.path) != shard.sha256:
        raise DamageError(shard.path, None, "the shard is not what was written, or is missing")
    os.link(out / shard.path, target)


def write_card(folder: Path, manifest: Manifest, splits: list[str]) -> None:
    """Write the dataset card.

    Raises:
        TrainingError: if two splits would have one name.
    """
    if len({hub_name(split) for split in splits}) < len(splits):
        raise TrainingError("export to hf", "two splits would have one name", got=splits)
    table = [f"| {split} | {manifest.split(split).rows} | {manifest.split(split).dropped} |"
             for split in splits]  # fmt: skip
    text = _CARD.format(
        front=yaml.safe_dump(_front(manifest, splits), sort_keys=False, allow_unicode=True),
        name=re.sub(r"[^\w .-]", "?", manifest.name),
        rows=manifest.rows,
        classes=len(manifest.classes),
        table="\n".join(table),
        digest=manifest.digest,
    )
    with opened(folder / "README.md") as file:
        file.write(text.encode())


def _front(manifest: Manifest, splits: list[str]) -> dict[str, Any]:
    files = [{"split": hub_name(s), "path": f"data/{hub_name(s)}-*.parquet"} for s in splits]
    told = [_count(manifest, split) for split in splits]
    kinds = manifest.schema.hf_features
    features = [_feature(name, kinds[name]) for name in stored_schema(manifest).names]
    return {
        "configs": [{"config_name": "default", "data_files": files}],
        "dataset_info": {"features": features, "splits": told},
    }


def _count(manifest: Manifest, split: str) -> dict[str, Any]:
    held = manifest.split(split)
    return {"name": hub_name(split), "num_bytes": held.bytes, "num_examples": held.rows}


def _feature(name: str, kind: Mapping[str, str]) -> dict[str, str]:
    return {"name": name, "dtype": "image" if kind["_type"] == "Image" else kind["dtype"]}
