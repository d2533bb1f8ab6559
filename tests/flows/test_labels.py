"""Labels that the configuration spells anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flows.app.config import load_config
from flows.app.launch import run_line
from flows.app.store import open_run


def test_renamed_labels_are_one_class(tmp_path: Path, write_config: Callable[..., Path]) -> None:
    """A spelling that [labels] renames is gone in every split, and another one starts anew."""
    data = tmp_path / "data"
    data.mkdir()
    for split, label in (("train", "yes"), ("test", "yes.")):
        rows = [f"{at},{label if at % 2 else 'no'}\n" for at in range(20)]
        (data / f"{split}.csv").write_text("x,label\n" + "".join(rows))
    seen = []
    for extra in ("", '[labels]\nrename = {"yes." = "yes"}'):
        path = write_config(tmp_path, data, extra, head='label = "label"')
        config = load_config(path)
        run = open_run(config, tmp_path / "run")
        facts = run_line(config, run, until="profile", train=False).stations[0]
        assert not facts["skipped"]
        seen.append(set(run.read_json("profile.json")["classes"]))
    assert seen == [{"yes", "yes.", "no"}, {"yes", "no"}]
