"""What is generated agrees with what it is generated from."""

from __future__ import annotations

from bench.docs import write_pages


def test_generated_pages_do_not_drift() -> None:
    """Every generated page, README's figures included, is what `make docs` would write now."""
    stale = [path.name for path, text in write_pages().items() if path.read_text() != text]
    assert stale == [], "run `make docs`"
