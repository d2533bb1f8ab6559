from pathlib import Path

import pytest

from flows.app.config import Config, ConfigError, load_config, read_config, source_config

RIGHT = {"version": 1, "source": {"path": "photos"}}


def mistakes(text: str, folder: Path) -> list[str]:
    """Return the sentences about a gristmill.toml with this content."""
    path = folder / "gristmill.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as told:
        load_config(path)
    return told.value.lines


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Three mistakes of a file give three sentences, each with its value and the nearest key."""
    lines = mistakes(
        'version = 1\n[source]\npath = "x"\n[training]\nbatchsize = 64\nseeds = "many"\n'
        "[split]\nval_frac = 1.5\n",
        tmp_path,
    )
    assert len(lines) == 3
    expected = (
        "gristmill.toml: training.batchsize: Extra inputs are not permitted (got 64). "
        "Did you mean 'batch_size'?"
    )
    assert expected in lines
    assert any("training.seeds" in line and "'many'" in line for line in lines)
    assert any("split.val_frac" in line and "1.5" in line for line in lines)


def test_checks_are_validated(tmp_path: Path) -> None:
    """Unknown checks, parameters, severities and types under [checks] are told, nearest first."""
    lines = mistakes(
        'version = 1\n[source]\npath = "x"\n[checks]\ndisabled = ["blury"]\n'
        "[checks.to_dark]\n[checks.too_dark]\nluma_p99_mx = 0.1\n"
        'severity = "fatal"\nluma_p99_max = "dark"\n',
        tmp_path,
    )
    told = "\n".join(lines)
    assert len(lines) == 5
    assert "checks.disabled: no check is named 'blury'. Did you mean 'blurry'?" in told
    assert "checks.to_dark: no check is named 'to_dark'. Did you mean 'too_dark'?" in told
    assert "has no such parameter (got 0.1). Did you mean 'luma_p99_max'?" in told
    assert "must be one of info, warning, error (got 'fatal')" in told
    assert "wrong type (got 'dark')" in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = ", "not valid TOML"),
        ("version = 2\n[source]\npath = 'x'\n", "version: Input should be 1 (got 2)"),
        ("version = 1\n", "source: Field required"),
        ("version = 1\nname = 'x'\n[source]\npath = 'x'\n", "name: Extra inputs"),
        ("version = 1\n[source]\npath = 'x'\n[split]\nval_frac = 0.5\ntest_frac = 0.6\n", "split:"),
    ],
)
def test_other_mistakes(text: str, said: str, tmp_path: Path) -> None:
    """Bad TOML, another version, missing and foreign keys each give one sentence."""
    (line,) = mistakes(text, tmp_path)
    assert said in line


def test_missing_file(tmp_path: Path) -> None:
    """A configuration that is not there is told, with the command that writes one."""
    with pytest.raises(ConfigError, match=r"no such file.*gristmill init"):
        load_config(tmp_path / "none.toml")


def test_paths_start_from_the_file(tmp_path: Path) -> None:
    """Relative paths belong to the configuration's folder; URLs stay as they are."""
    config = read_config(RIGHT, base=tmp_path)
    assert config.location == str(tmp_path / "photos")
    assert source_config("s3://bucket/photos").location == "s3://bucket/photos"


def test_result_digest_is_free_of_places() -> None:
    """Folders, workers and report settings do not change the digest of results; a seed does."""
    base = read_config(RIGHT)
    moved = read_config({**RIGHT, "source": {"path": "elsewhere"}, "profile": {"workers": 3},
                         "report": {"title": "x"}})  # fmt: skip
    seeded = read_config({**RIGHT, "split": {"seed": 1}})
    assert moved.result_digest == base.result_digest
    assert seeded.result_digest != base.result_digest
    assert moved.identity != base.identity


def test_every_field_is_described() -> None:
    """Every setting has a description: the generated reference leans on it."""
    sections = [field.annotation for field in Config.model_fields.values()]
    fields = [
        (section, name, field)
        for section in (Config, *sections)
        if isinstance(section, type) and hasattr(section, "model_fields")
        for name, field in section.model_fields.items()
    ]
    nested = set(Config.model_fields)
    bare = [(s.__name__, n) for s, n, f in fields if not f.description and n not in nested]
    assert bare == []
