"""`gristmill shards` as it is typed: what it says, what it prints for machines, how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.app.cli import main
from tests.training.exported import store_images
from tests.training.shards.samples import (
    IMAGES,
    decisions_of,
    flip,
    image_batch,
    samples_of,
    write_raw,
    write_without,
)
from training.shards.history import list_digests
from training.shards.ledger import build_ledger
from training.shards.manifest import Manifest, current_digest
from training.shards.writer import write_manifest

BATCH = image_batch(60)
KEYS = BATCH.column("key").to_pylist()
COMMANDS = ("verify", "diff", "log", "use", "gc", "export")


def start(*tokens: object) -> int:
    """Run `gristmill shards` in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["shards", *map(str, tokens)])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, Manifest, Manifest]:
    """A run folder whose store holds a raw and a cleaned manifest, the cleaned one current."""
    out = tmp_path / "run" / "shards"
    raw = write_raw(out, BATCH, IMAGES, make_current=False)
    return tmp_path / "run", raw, write_without(out, BATCH, set(KEYS[:2]), IMAGES, raw)


def test_help_is_light_and_whole() -> None:
    """`gristmill shards --help` names every command and imports nothing heavy."""
    code = (
        "import sys\nfrom flows.app.cli import main\n"
        "try:\n    main(['shards', '--help'])\nexcept SystemExit as ended:\n"
        "    assert not ended.code\n"
        "heavy = {'torch', 'pandas', 'polars', 'pyarrow', 'numpy', 'rich.table'}\n"
        "print(sorted(heavy & set(sys.modules) - {'rich.table'}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert [name for name in COMMANDS if name not in done.stdout] == []


def test_no_command_needs_torch(run: tuple[Path, Manifest, Manifest]) -> None:
    """Verifying a store and listing it do not import torch."""
    code = (
        "import sys\nfrom flows.app.cli import main\n"
        "for command in ('verify', 'log'):\n"
        "    try:\n        main(['shards', command, sys.argv[1]])\n"
        "    except SystemExit as ended:\n        assert not ended.code\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(run[0])], capture_output=True, check=True)


def test_verify_tells_damage_and_mends_indexes(
    run: tuple[Path, Manifest, Manifest], capsys: pytest.CaptureFixture[str]
) -> None:
    """An intact store is exit 0; damage is exit 1, told by row and worst first, with what to do."""
    folder, _, cleaned = run
    assert start("verify", folder) == 0
    assert "every byte is what was written" in capsys.readouterr().err
    first, second = cleaned.split("train").shards[:2]
    (folder / "shards" / second.index.path).unlink()  # type: ignore[union-attr]
    size = (folder / "shards" / first.path).stat().st_size
    flip(folder / "shards" / first.path, size * 4)
    assert start("verify", folder, "--json") == 1
    seen = capsys.readouterr()
    told = json.loads(seen.out)
    worst = told["damage"][0]
    assert (worst["path"], type(worst["row"])) == (first.path, int)
    assert told["damage"][-1] == {
        "path": second.index.path,  # type: ignore[union-attr]
        "row": None,
        "problem": "is missing",
    }
    assert "--repair makes them anew" in seen.err
    assert "rows from 0" in seen.err
    assert start("verify", folder, "--repair", "--all") == 1
    assert f"{second.index.path}: made anew" in capsys.readouterr().err  # type: ignore[union-attr]
    flip(folder / "shards" / first.path, size * 4)
    assert start("verify", folder, cleaned.digest[:6]) == 0


def test_diff_counts_and_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table counts by class with the ledger's reasons; JSON has every key."""
    raw = write_raw(tmp_path, BATCH, IMAGES, make_current=False)
    findings = pl.DataFrame(
        {"sample_id": KEYS[:2], "check_id": "[blink]dark[/blink]", "dimension": "low_quality",
         "severity": "error", "value": 0.1, "threshold": 0.2, "evidence": "", "suggestion": ""}
    ).with_columns(column=pl.lit(None, pl.String))  # fmt: skip
    dropped = set(KEYS[:2])
    books = build_ledger(samples_of(BATCH), decisions_of(BATCH, dropped), findings)
    kept = pl.DataFrame(pl.from_arrow(BATCH)).filter(~pl.col("key").is_in(KEYS[:2]))
    cleaned = write_manifest(tmp_path, kept.to_arrow().to_batches(), books, IMAGES,
                             parent=raw.digest, make_current=True)  # fmt: skip
    assert start("diff", tmp_path, "raw", "current", "--json") == 0
    seen = capsys.readouterr()
    told = json.loads(seen.out)
    assert {(one["key"], one["change"]) for one in told["changes"]} == {
        (key, "dropped") for key in KEYS[:2]
    }
    assert told["reasons"] == [{"check_id": "[blink]dark[/blink]", "samples": 2}]
    assert "[blink]dark[/blink]" in seen.err
    assert "2 dropped" in seen.err
    assert start("diff", tmp_path, cleaned.digest[:8], cleaned.digest[:8]) == 0
    assert "no difference" in capsys.readouterr().err


def test_log_use_and_gc_go_back(
    run: tuple[Path, Manifest, Manifest], capsys: pytest.CaptureFixture[str]
) -> None:
    """Go back to raw, forget the cleaned manifest, and its files are gone; each step is told."""
    folder, raw, cleaned = run
    assert start("log", folder, "--json") == 0
    seen = capsys.readouterr()
    rows = {one["digest"]: one for one in json.loads(seen.out)}
    assert set(rows) == {raw.digest, cleaned.digest}
    assert rows[cleaned.digest]["current"]
    assert (rows[cleaned.digest]["dropped"], rows[cleaned.digest]["parent"]) == (2, raw.digest)
    told = seen.err.splitlines()[1:3]
    assert sorted(line[:13] for line in told) == sorted(
        [f" {raw.digest[:12]}", f"*{cleaned.digest[:12]}"]
    )
    assert start("use", folder, "raw", "--verify") == 0
    assert current_digest(folder / "shards") == raw.digest
    capsys.readouterr()
    tokens = ("gc", folder, "--forget", cleaned.digest[:8], "--json")
    assert start(*tokens, "--dry-run") == 0
    would = json.loads(capsys.readouterr().out)
    assert not would["deleted"]
    assert start(*tokens) == 0
    done = json.loads(capsys.readouterr().out)
    assert done == {**would, "deleted": True}
    assert list_digests(folder / "shards") == [raw.digest]
    assert start("verify", folder, "--all") == 0


@pytest.mark.parametrize("to", ["webdataset", "mds", "hf"])
def test_export_tells_what_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], to: str
) -> None:
    """Hard keys and labels go out; the rows of each split are told, and a second time is exit 2."""
    manifest = store_images(tmp_path / "store")
    assert start("export", tmp_path / "store", tmp_path / "out", "--to", to, "--json") == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["rows"] == {name: split.rows for name, split in manifest.splits.items()}
    assert start("export", tmp_path / "store", tmp_path / "out", "--to", to) == 2
    assert "--force" in capsys.readouterr().err
    assert start("export", tmp_path / "store", tmp_path / "out", "raw", "--to", to, "--force") == 0


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["verify", "nowhere"], "nowhere: there is no store of shards here"),
        (["verify", "run", "0000"], "needs its first 6 digits"),
        (["diff", "run", "raw", "000000000"], "no manifest begins so"),
        (["use", "run", "[red]xyzzy"], "no manifest begins so (got '[red]xyzzy')"),
        (["gc", "run", "--forget", "current"], "the current manifest stays"),
        (["gc", "run", "--forget", "raw"], "a parent stays"),
        (["export", "run", "run/shards/x", "--to", "hf"], "lies in the store itself"),
    ],
)
def test_mistakes_are_one_sentence(
    run: tuple[Path, Manifest, Manifest], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], tokens: list[str], said: str,
) -> None:  # fmt: skip
    """A wrong store, digest or target is exit 2 and one line on stderr; nothing changes."""
    monkeypatch.chdir(run[0].parent)
    assert start(*tokens) == 2
    seen = capsys.readouterr()
    assert said in seen.err
    assert seen.err.count("\n") == 1
    assert seen.out == ""
    assert start("verify", "run") == 0


def test_hostile_names_reach_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escape codes and markup in labels and keys are shown, not obeyed."""
    frame = pl.DataFrame(pl.from_arrow(BATCH))
    evil = frame.with_columns(pl.lit("\x1b[2J[bold]x[/bold]").alias("label"))
    manifests = []
    for rows in (evil[:20], evil[20:]):
        batch = rows.to_arrow()
        ledger = build_ledger(samples_of(batch))
        manifests.append(write_manifest(tmp_path, batch.to_batches(), ledger, IMAGES))
    assert start("diff", tmp_path, *(one.digest[:8] for one in manifests)) == 0
    told = capsys.readouterr().err
    assert "\x1b[2J" not in told
    assert "?[2J" in told
    assert "[bold]x" in told
