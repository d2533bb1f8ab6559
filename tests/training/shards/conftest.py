"""An empty cache for what is fetched from stores behind URLs."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.shards import cache, remote


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of tiny chunks, and no long waiting."""
    monkeypatch.setenv("GRISTMILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "CHUNK", 1024)
    monkeypatch.setattr(remote, "_PAUSES_S", (0.0,))
    return tmp_path / "cache" / "shards"
