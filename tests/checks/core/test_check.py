"""The contract of a check: discovery, configuration, names."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.core.check import load_checks, select_checks
from checks.core.errors import CheckError, UnknownNameError

USER_CHECK = '''
"""A user's own check."""
import polars as pl
from checks.core.check import row_check

@row_check(needs=("{metric}",), dimension="low_quality")
def {name}() -> pl.Expr:
    """Flag nothing."""
    return pl.col("{metric}").is_null() & False
'''


def test_user_checks_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the config names brings its checks along."""
    monkeypatch.setattr("checks.core.check._REGISTRY", {})
    path = tmp_path / "mine.py"
    path.write_text(USER_CHECK.format(name="my_check", metric="width_px"))
    assert "my_check" in load_checks([str(path)])


def test_names_are_unique(tmp_path: Path) -> None:
    """A second check of a known name is an error that names both places."""
    load_checks()
    path = tmp_path / "again.py"
    path.write_text(USER_CHECK.format(name="too_dark", metric="width_px"))
    with pytest.raises(CheckError, match=r"checks\.image\.too_dark and .*again"):
        load_checks([str(path)])


def test_missing_file_is_an_error() -> None:
    """A module of checks that is not there is one clear sentence."""
    with pytest.raises(CheckError, match=r"nowhere\.py: no such file of checks"):
        load_checks(["nowhere.py"])


def test_selection_by_modality() -> None:
    """Images get image checks and those for anything, tables get no image check."""
    checks = load_checks()
    image = {check.id for check in select_checks(checks, "image")}
    table = {check.id for check in select_checks(checks, "table")}
    assert {"too_dark", "exact_duplicate"} <= image
    assert "too_dark" not in table
    assert "exact_duplicate" in table


def test_settings_and_disabled() -> None:
    """Settings change parameters and severity; disabled checks are gone."""
    settings = {"too_dark": {"luma_p99_max": 1, "severity": "error"}}
    chosen = select_checks(load_checks(), "image", ["blurry"], settings)
    dark = next(check for check in chosen if check.id == "too_dark")
    assert (dark.params["luma_p99_max"], dark.severity) == (1.0, "error")
    assert "blurry" not in {check.id for check in chosen}


def test_unknown_check_has_a_nearest_name() -> None:
    """A check that nobody knows is an error with the nearest one."""
    with pytest.raises(UnknownNameError, match="Did you mean 'too_dark'"):
        select_checks(load_checks(), "image", ["to_dark"])
