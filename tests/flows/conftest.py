"""One run up to the cleaned shards, shared by the tests that look at it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.app.config import load_config
from flows.app.launch import run_line
from flows.app.outcome import Outcome
from flows.app.store import open_run

WriteConfig = Callable[..., Path]
Clean = Callable[[Path, Path], Outcome]


@pytest.fixture(scope="session")
def write_config() -> WriteConfig:
    """Write a small configuration for a source: keys of [source] in `head`, sections in `extra`."""

    def write(
        folder: Path, source: Path, extra: str = "", *, head: str = "", bundle_size: int = 40,
        tier: str = "probe",
    ) -> Path:  # fmt: skip
        path = folder / "gristmill.toml"
        path.write_text(
            f"version = 1\n[source]\npath = {json.dumps(str(source))}\n{head}\n"
            f"[profile]\nworkers = 1\nbundle_size = {bundle_size}\n"
            f'[training]\ntiers = ["{tier}"]\nseeds = 2\nsteps = 20\n{extra}\n'
        )
        return path

    return write


@pytest.fixture(scope="session")
def clean() -> Clean:
    """Run the line of a configuration up to the shards, in a run folder."""

    def run(path: Path, out: Path) -> Outcome:
        config = load_config(path)
        return run_line(config, open_run(config, out), until="clean", train=False)

    return run


@pytest.fixture(scope="session")
def cleaned(
    tiny_images: Path, tmp_path_factory: pytest.TempPathFactory, write_config: WriteConfig,
    clean: Clean,
) -> tuple[Path, Outcome]:  # fmt: skip
    """A configuration and its run up to the cleaned shards; nobody changes them."""
    folder = tmp_path_factory.mktemp("line")
    path = write_config(folder, tiny_images)
    return path, clean(path, folder / "run")
