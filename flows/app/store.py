"""The run folder: what a run knows, each file written whole or not at all.

A station *stamps* what it has done: the digest of what went in, the digests of what came out. It
is skipped as long as both still hold, so a killed run started again does only what is missing.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import polars as pl
import xxhash

from checks.core.errors import TableError
from flows.app.config import Config, read_config
from flows.app.lock import alone
from flows.app.outputs import COSTS, OUTPUTS, find_damage
from flows.app.refusals import StoreError, disk_error

LEVERS = "levers.json"  # other changes of the training, for the report
SUGGESTIONS = "suggestions.json"  # of a contract, for the report's cards of columns
RESPLITS = "resplits.json"  # of the same set divided many times, for its section of the report
BESIDE = (SUGGESTIONS, LEVERS, RESPLITS)  # commands of their own write what is reported
STAMPS = "stamps.json"
KEYS = {
    "findings": ["sample_id", "check_id", "column"],
    "cells": ["sample_id", "column"],
    "repairs": ["sample_id", "column"],
    "curves": ["tier", "arm", "seed", "step"],
    "probabilities": ["sample_id", "class_name"],
}
_log = logging.getLogger(__name__)
__all__ = ["RunFolder", "StoreError", "disk_error", "open_run", "run_folder", "writing"]


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Open `path` for writing in such a way that it appears whole, or not at all.

    The bytes go to a temporary file beside it, reach the disk, and then take the name.

    Raises:
        StoreError: the disk is full or refuses; the old file, if any, is untouched.
    """
    temporary = path.with_name(f".{path.name}.tmp-{uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as refused:
        raise disk_error(path, refused) from refused
    except pl.exceptions.PolarsError as refused:  # polars wraps what the file object raised
        raise disk_error(path, OSError(errno.EIO, str(refused))) from refused
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_digest(path: Path) -> str:
    """Return the xxh3-128 of the file at `path`, 32 hexadecimal digits."""
    state = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            state.update(chunk)
    return state.hexdigest()


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's files. Every table that crosses it is guarded by its model and sorted by key."""

    path: Path

    def file(self, name: str) -> Path:
        """Return the path of the file or folder `name` of this run."""
        return self.path / name

    def write_table(self, name: str, frame: pl.DataFrame) -> None:
        """Write `frame` as `<name>.parquet`.

        Raises:
            TableError: it does not satisfy the model of that table.
            StoreError: the disk is full or refuses.
        """
        from checks.core.tables import MODELS, guard  # noqa: PLC0415 - pandera is slow to import

        frame = guard(MODELS[name], frame.sort(KEYS.get(name, ["sample_id"])), f"{name}.parquet")
        with writing(self.file(f"{name}.parquet")) as file:
            frame.write_parquet(file)

    def read_table(self, name: str) -> pl.DataFrame:
        """Return the table `<name>.parquet`, guarded.

        Raises:
            StoreError: the station that writes it has not run.
            TableError: the file is damaged or holds something else.
        """
        from checks.core.tables import MODELS, guard  # noqa: PLC0415 - pandera is slow to import

        path = self.file(f"{name}.parquet")
        if not path.is_file():
            advice = "Run the station that writes it first, or the whole line."
            raise StoreError(str(path), "no such table", advice=advice)
        try:
            frame = pl.read_parquet(path)
        except (pl.exceptions.PolarsError, OSError) as broken:
            raise TableError(str(path), "not a readable Parquet file", got=str(broken)) from broken
        return guard(MODELS[name], frame, str(path))

    def has(self, name: str) -> bool:
        """Say whether the file `name` is there."""
        return self.file(name).exists()

    def write_json(self, name: str, value: object) -> None:
        """Write `value` as JSON to the file `name`.

        Raises:
            StoreError: the disk is full or refuses.
        """
        text = json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n"
        with writing(self.file(name)) as file:
            file.write(text.encode())

    def read_json(self, name: str) -> dict[str, object]:
        """Return the JSON object in the file `name`; an empty one where it is missing.

        Raises:
            StoreError: the file holds something else.
        """
        path = self.file(name)
        try:
            value = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as broken:
            raise StoreError(str(path), "not readable JSON", got=str(broken)) from broken
        return value if isinstance(value, dict) else {}

    def fresh(self, station: str, inputs: str) -> bool:
        """Say whether `station` was finished with these inputs and its outputs are untouched."""
        stamp = self.read_json(STAMPS).get(station)
        if not isinstance(stamp, dict) or stamp.get("inputs") != inputs:
            return False
        made = stamp.get("outputs")
        return isinstance(made, dict) and all(self.digest_of(name) == made[name] for name in made)

    def stamp(self, station: str, inputs: str, outputs: list[str]) -> None:
        """Record that `station` made `outputs` (files of this folder) from `inputs`."""
        made = {name: self.digest_of(name) for name in outputs}
        stamps = self.read_json(STAMPS)
        self.write_json(STAMPS, {**stamps, station: {"inputs": inputs, "outputs": made}})

    def discard(self, names: list[str]) -> None:
        """Remove the files `names`: what they tell is no longer true.

        Raises:
            StoreError: the folder cannot be written.
        """
        for name in names:
            try:
                self.file(name).unlink(missing_ok=True)
            except OSError as refused:
                raise disk_error(self.file(name), refused) from refused

    def digest_of(self, name: str) -> str | None:
        """Return the digest of the file `name`, None where it is missing."""
        path = self.file(name)
        return file_digest(path) if path.is_file() else None

    def write_config(self, config: Config) -> None:
        """Write the resolved configuration, with the folder that its paths start from."""
        base = os.path.relpath(config.base.resolve(), self.path.resolve())
        own = {"name": config.name, "base": Path(base).as_posix()}
        told = {**config.model_dump(mode="json"), "run": own}
        with suppress(StoreError):  # a damaged one is written anew
            if self.read_json("config.json") == told:
                return
        self.write_json("config.json", told)

    def read_config(self) -> Config:
        """Return the configuration that this run was made with.

        Raises:
            StoreError: this is not a run folder.
            ConfigError: the file was changed by hand and is wrong.
        """
        raw = self.read_json("config.json")
        own = raw.pop("run", None)
        if not isinstance(own, dict):
            raise StoreError(str(self.path), "not a run folder (it holds no config.json)")
        base = self.path / str(own.get("base", "."))
        return read_config(raw, where="config.json", name=str(own.get("name")), base=base)


def run_folder(config: Config, out: Path | None = None) -> Path:
    """Return the run folder of `config`: `out`, or runs/<name>-<digest> under the current folder.

    The digest covers the configuration and the place of the data, so that a killed run started
    again finds its own folder.
    """
    return out or Path("runs") / f"{config.name}-{config.identity[:8]}"


def open_run(config: Config, out: Path | None = None) -> RunFolder:
    """Return the run folder of `config`, made if it is not there.

    What a station made and nobody can read any more is removed and told: it is made again.

    Raises:
        StoreError: the folder cannot be made.
        BusyError: another process is at work in it.
    """
    run = RunFolder(run_folder(config, out))
    try:
        run.path.mkdir(parents=True, exist_ok=True)
    except OSError as refused:
        raise disk_error(run.path, refused) from refused
    with alone(run.path):
        _sweep(run.path)
        _drop_damaged(run)
        run.write_config(config)
    return run


def _sweep(folder: Path) -> None:
    """Remove what a killed writer left; nothing reads these names."""
    for leftover in folder.glob(".*.tmp-*"):
        with suppress(OSError):
            leftover.unlink(missing_ok=True)


def _drop_damaged(run: RunFolder) -> None:
    made = [name for station in OUTPUTS.values() for name in station]
    for name in (STAMPS, COSTS, *made, *BESIDE):
        if why := find_damage(run.file(name)):
            told = "%s: cannot be read (%s), so it was removed; what wrote it writes it anew"
            _log.warning(told, run.file(name), why)
            run.discard([name])
