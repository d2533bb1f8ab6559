"""The command `suggest`: what it writes and says, and what it leaves as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from checks.suites.contract import load_contract
from flows.app.cli import main

CONFIG = 'version = 1\n[source]\npath = "trips.csv"\n[contract]\npath = "{contract}"\n'


def start(*tokens: str) -> int:
    """Run `gristmill suggest` in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["suggest", *tokens])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def trips(rows: int = 400, far: int = 0) -> pl.DataFrame:
    """Trips with a number, a category and a name that no Python has; `far` of them very long."""
    size = [9_000 if i < far else i % 60 + 1 for i in range(rows)]
    return pl.DataFrame({"km": size, "kind of trip": ["on foot", "by boat"] * (rows // 2)})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with trips.csv."""
    trips().write_csv(tmp_path / "trips.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_writes_a_contract_and_tells_what_is_next(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A contract is written beside the data's configuration, with the rules told, and it loads."""
    assert start("trips.csv", "--json") == 0
    told = capsys.readouterr()
    said: dict[str, Any] = json.loads(told.out)
    assert (said["file"], said["written"], said["rows"]) == ("contract.py", True, 400)
    assert {"columns", "rule", "value", "failures", "share_max", "tolerance", "false_alarm",
            "strength", "severity", "why"} == set(said["rules"][0])  # fmt: skip
    assert 'put it in use: [contract] path = "contract.py"' in told.err
    columns = load_contract(str(here / "contract.py")).schema.columns
    assert list(columns) == ["km", "kind of trip"]


def test_an_existing_file_is_left_as_it_is(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is there is compared with, or refused; only --force replaces it."""
    start("trips.csv")
    before = (here / "contract.py").read_text()
    changed = before.replace("le=60", "le=30")
    (here / "contract.py").write_text(changed)
    capsys.readouterr()
    assert start("trips.csv", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["written"], said["in_use"], len(said["changes"])) == (False, "contract.py", 1)
    assert (here / "contract.py").read_text() == changed
    assert start("trips.csv", "--out", "contract.py") == 2
    assert "is there already" in capsys.readouterr().err
    assert start("trips.csv", "--out", "contract.py", "--force") == 0
    assert (here / "contract.py").read_text() == before


def test_the_contract_in_use_is_compared_with(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each rule that differs is told with both values and why, the configuration's by default."""
    start("trips.csv", "--out", "rules.py")
    text = (here / "rules.py").read_text()
    (here / "rules.py").write_text(text.replace("le=60", "le=30"))
    (here / "gristmill.toml").write_text(CONFIG.format(contract="rules.py"))
    capsys.readouterr()
    assert start("gristmill.toml", "--json") == 0
    told = capsys.readouterr()
    (change,) = json.loads(told.out)["changes"]
    assert (change["kind"], change["columns"], change["rule"]) == ("changed", ["km"], "le")
    assert change["in_use"].startswith("30")
    assert change["suggested"].startswith("60")
    assert "190 of 400 rows break the one in use" in change["why"]
    assert "Against rules.py: 1 changed." in " ".join(told.err.split())
    assert (here / "contract.py").is_file()


def test_yaml_by_name_or_by_word(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The form is asked for or told by the file's name; the two must agree."""
    assert start("trips.csv", "--format", "yaml") == 0
    assert start("trips.csv", "--out", "rules.yml") == 0
    for name in ("contract.yaml", "rules.yml"):
        assert load_contract(str(here / name)).schema.columns["km"].checks
    assert start("trips.csv", "--out", "rules.txt") == 2
    assert ".py, .yaml or .yml" in capsys.readouterr().err
    assert start("trips.csv", "--out", "rules.py", "--format", "yaml") == 2


def test_a_smaller_batch_is_allowed_more(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--batch-rows sets for which batches the tolerances are; none is refused."""
    trips(far=1).write_csv(here / "trips.csv")
    shares = []
    for rows in ("400", "100"):
        start("trips.csv", "--json", "--batch-rows", rows, "--out", f"rules_{rows}.py")
        rules = json.loads(capsys.readouterr().out)["rules"]
        shares += [r["tolerance"] for r in rules if r["columns"] == ["km"] and r["rule"] == "le"]
    assert 0 < shares[0] < shares[1]
    assert start("trips.csv", "--batch-rows", "0") == 2
    assert "At least 1" in capsys.readouterr().err


@pytest.mark.parametrize("rows", [0, 1])
def test_hardly_any_rows(rows: int, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table without rows, or with one, gives its types and says that it is too small."""
    trips().head(rows).write_parquet(here / "few.parquet")
    assert start("few.parquet") == 0
    assert "too few" in capsys.readouterr().err
    assert list(load_contract("contract.py").schema.columns) == ["km", "kind of trip"]


def test_pictures_have_no_columns(tiny_images: Path, tmp_path: Path,
                                  monkeypatch: pytest.MonkeyPatch,
                                  capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    """A folder of images is told to be no table."""
    monkeypatch.chdir(tmp_path)
    assert start(str(tiny_images)) == 2
    assert "is no table of values" in capsys.readouterr().err


def test_a_lookup_beside_the_contract(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Many values are written as a table beside the contract, which is not replaced either."""
    towns = [f"{chr(97 + i % 26)}{chr(97 + i // 26 % 7)} town" for i in range(6_000)]
    pl.DataFrame({"town": towns}).write_csv(here / "towns.csv")
    assert start("towns.csv") == 0
    assert pl.read_parquet(here / "contract_values" / "town.parquet").height == 182
    (here / "contract.py").unlink()
    assert start("towns.csv") == 2
    assert "town.parquet: is there already" in capsys.readouterr().err
    assert not (here / "contract.py").exists()
