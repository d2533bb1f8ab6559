import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.app.cli import main

HEAVY = ("torch", "pandas", "great_expectations", "pandera", "prefect", "polars", "numba")
COMMANDS = ("init", "run", "profile", "check", "clean", "compare", "report", "checks", "explain",
            "server", "suggest")  # fmt: skip


def start(*tokens: str) -> int:
    """Run a command in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(list(tokens))
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("tokens", [["--help"], ["run", "--help"], ["check", "--help"]])
def test_help_is_light(tokens: list[str]) -> None:
    """Asking for help imports none of the heavy libraries."""
    code = (
        "import sys\nfrom flows.app.cli import main\n"
        f"try:\n    main({tokens!r})\nexcept SystemExit as ended:\n    assert not ended.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "Usage" in done.stdout


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The help lists every command of the public interface."""
    assert start("--help") == 0
    told = capsys.readouterr().out
    assert [name for name in COMMANDS if name not in told] == []


@pytest.mark.parametrize("command", ["run", "check", "levers", "resplit"])
def test_help_names_the_run_folder(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The default of --out is shown whole: nothing of it is taken for markup."""
    assert start(command, "--help") == 0
    assert "runs/NAME-DIGEST" in " ".join(capsys.readouterr().out.replace("│", "").split())


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ('[policy]\noverrides = "people.csv"', "people.csv: no such file of decisions."),
        ('[training]\ndevice = "cuda"', "training.device: there is no GPU"),
    ],
)
def test_what_is_absent_is_refused_at_the_start(  # noqa: PLR0917 - fixtures
    section: str, said: str, tiny_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Decisions that are not there, and a GPU that is not, are told before anything is measured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    path = json.dumps(str(tiny_table))
    Path("g.toml").write_text(f'version = 1\n[source]\npath = {path}\nlabel = "grade"\n{section}\n')
    for end in ((), ("--no-prefect",)):
        assert start("run", "g.toml", *end) == 2
        assert said in capsys.readouterr().err
    assert list(tmp_path.glob("runs/*/profile.json")) == []


def test_a_run_folder_without_its_config_is_no_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that stations wrote to and that has lost its config.json is never read as data."""
    monkeypatch.chdir(tmp_path)
    Path("stamps.json").write_text("{}")
    Path("samples.parquet").write_bytes(b"")
    assert start("report", ".") == 2
    assert "not a run folder any more" in capsys.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["runn"], "runn"),
        (["run"], "--config"),
        (["run", "none.toml"], "none.toml: no such file"),
        (["profile", "no/such/folder"], "no/such/folder: no such file or folder"),
        (["check", "x", "--fail-on", "sometimes"], "sometimes"),
        (["explain", "to_dark"], "Did you mean 'too_dark'?"),
    ],
)
def test_wrong_usage_is_exit_2(
    tokens: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A wrong command, option, configuration or path gives a sentence on stderr and code 2."""
    monkeypatch.chdir(tmp_path)
    assert start(*tokens) == 2
    seen = capsys.readouterr()
    assert said in seen.err
    assert seen.out == ""
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --debug an error keeps its traceback."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception, match="no such file"):
        main(["run", "none.toml", "--debug"])


def test_the_catalogue_is_data(capsys: pytest.CaptureFixture[str]) -> None:
    """`checks --json` prints every check with its parameters as JSON on stdout."""
    assert start("checks", "--json") == 0
    listed = {one["id"]: one for one in json.loads(capsys.readouterr().out)}
    assert listed["unlikely_label"]["params"]["precision_min"] == 0.8
    assert start("explain", "unlikely_label") == 0
    assert "[checks.unlikely_label]" in capsys.readouterr().out


def test_init_writes_a_config_that_loads(
    tiny_images: Path, tiny_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`init` looks at a folder or a table and writes a commented file that is valid as it is."""
    from flows.app.config import load_config  # noqa: PLC0415 - heavy

    monkeypatch.chdir(tmp_path)
    assert start("init", str(tiny_images)) == 0
    config = load_config("gristmill.toml")
    assert (config.source.kind, config.source.label) == ("image_folder", None)
    text = Path("gristmill.toml").read_text()
    assert "2 classes (bar, disc)" in text
    assert start("init", str(tiny_table)) == 2
    assert start("init", str(tiny_table), "--force") == 0
    config = load_config("gristmill.toml")
    assert (config.source.kind, config.source.label) == ("table", "grade")
    uncommented = [line.removeprefix("# ") if " = " in line else line
                   for line in text.splitlines() if " = " not in line or "= " in line]  # fmt: skip
    assert any(line.startswith("max_drop_frac = 0.1 ") for line in uncommented)


def test_init_says_what_it_guessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A label column that nobody named is told as a guess, on the terminal and in the file."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{at}.5,{'xyz'[at % 3]}" for at in range(60)]
    Path("t.csv").write_text("\n".join(["size,site", *rows]))
    assert start("init", "t.csv") == 0
    assert "3 classes by the column 'site' (a guess: --label names another)" in _line(capsys)
    assert 'label = "site" # a guess' in Path("gristmill.toml").read_text()
    assert start("init", "t.csv", "--force", "--label", "site") == 0
    assert "guess" not in _line(capsys) + Path("gristmill.toml").read_text()


def test_a_set_without_labels_is_told_by_its_kind(
    tiny_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Images in no class folder are to be sorted into some, rows of a table need a column."""
    monkeypatch.chdir(tmp_path)
    Path("loose").mkdir()
    for path in sorted((tiny_images / "disc").glob("*.jpg"))[:9]:
        shutil.copy(path, "loose")
    Path("t.csv").write_text("a,b\n" + "".join(f"{at},{at}\n" for at in range(60)))
    for source, told in (("loose", "root/<class>/*.jpg"), ("t.csv", "[source] label")):
        assert start("init", source, "--force") == 0
        assert told in _line(capsys)
        assert start("run", "gristmill.toml", "--no-prefect") == 2
        said = _line(capsys)
        assert told in said
        assert ("[source] label" in said) == (source == "t.csv")


def _line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err
