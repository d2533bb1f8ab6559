"""The rules of the house, held by tests: layers, sizes, names, light start-up, docs that agree."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import distributions, packages_distributions
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("flows", "checks", "training")
SOURCES = sorted(p for name in PACKAGES for p in (ROOT / name).rglob("*.py"))
CODE = [*SOURCES, *sorted((ROOT / "data").glob("*.py")), *sorted((ROOT / "bench").glob("*.py"))]
FILE_LINES, FILE_MEDIAN, FUNCTION_LINES = 400, 150, 50


def _functions(path: Path) -> list[tuple[str, int]]:
    """Return each function's name and length, its docstring not counted."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            doc = body[0] if ast.get_docstring(node) else None
            doc_lines = doc.end_lineno - doc.lineno + 1 if doc and doc.end_lineno else 0
            assert node.end_lineno is not None
            found.append((node.name, node.end_lineno - node.lineno + 1 - doc_lines))
    return found


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_no_file_is_long() -> None:
    """No source file has more than 400 lines, and half of them have at most 150."""
    lengths = {str(p.relative_to(ROOT)): _lines(p) for p in CODE}
    assert {name: n for name, n in lengths.items() if n > FILE_LINES} == {}
    assert median(lengths.values()) <= FILE_MEDIAN


def test_no_function_is_long() -> None:
    """No function has more than 50 lines beside its docstring."""
    long = {
        f"{p.relative_to(ROOT)}:{name}": n
        for p in CODE
        for name, n in _functions(p)
        if n > FUNCTION_LINES
    }
    assert long == {}


def test_layers_hold() -> None:
    """import-linter finds every contract of pyproject.toml kept."""
    command = [str(Path(sys.executable).parent / "lint-imports")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_module_says_what_it_owns() -> None:
    """Every module, public class and public function of the packages has a docstring."""
    bare = []
    for path in CODE:
        tree = ast.parse(path.read_text())
        kinds = ast.Module | ast.ClassDef | ast.FunctionDef
        for node in [tree, *tree.body]:
            name = getattr(node, "name", "")
            if isinstance(node, kinds) and not name.startswith("_") and not ast.get_docstring(node):
                bare.append(f"{path.relative_to(ROOT)}:{name}")
    assert bare == []


def test_every_test_says_what_it_proves() -> None:
    """Every test function has a docstring."""
    bare = [
        f"{path.relative_to(ROOT)}:{node.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert bare == []


def test_names_of_modules() -> None:
    """No module is called a manager, a helper or a util."""
    vague = {"manager", "managers", "helper", "helpers", "util", "utils", "common", "misc"}
    assert [p for p in CODE if p.stem in vague] == []


def test_flow_stems_shadow_nothing() -> None:
    """No file in flows/ bears a stdlib's or an installed module's name.

    Prefect's script loader leaves flows/ on sys.path and registers the file under its bare stem.
    """
    taken = set(sys.stdlib_module_names) | set(packages_distributions())
    stems = {p.stem for p in (ROOT / "flows").glob("*.py")} - {"__init__"}
    assert stems & taken == set()


def test_packages_are_ours() -> None:
    """The packages come from this tree and no other distribution claims their names."""
    for name in PACKAGES:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin == str(ROOT / name / "__init__.py")
        assert set(packages_distributions().get(name, ["gristmill"])) <= {"gristmill"}


def test_pins_that_prefect_needs() -> None:
    """The installed fastapi and SQLAlchemy are those on which Prefect and its schedules run."""
    versions = {d.metadata["Name"].lower(): d.version for d in distributions()}
    assert tuple(map(int, versions["fastapi"].split(".")[:2])) < (0, 151)
    assert versions["sqlalchemy"].startswith("2.0.")


@pytest.mark.parametrize("module", ["checks.core.check", "training", "flows.app.cli"])
def test_start_up_is_light(module: str) -> None:
    """Importing what every command needs loads neither torch, pandas, GX nor prefect."""
    heavy = "{'torch', 'pandas', 'great_expectations', 'prefect'}"
    code = f"import {module}, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_checks_live_one_in_a_file() -> None:
    """A check's id is the name of the file that it is the only check of."""
    from checks.core.check import FAMILIES, load_checks  # noqa: PLC0415 - loads every family

    ours = [c for c in load_checks().values() if c.function.__module__.startswith("checks.")]
    places = [c.function.__module__ for c in ours]
    assert len(places) == len(set(places))
    assert all(c.id == c.function.__module__.rsplit(".", 1)[1] for c in ours)
    assert all(c.function.__module__.rsplit(".", 1)[0] in FAMILIES for c in ours)


def test_no_unsafe_reading() -> None:
    """No source unpickles, evaluates text or loads YAML with code."""
    unsafe = ("pickle.load", "yaml.load(", "shell=True", "torch.load(")
    # the decoding workers unpickle what their own parent wrote to their stdin, never data
    trusted = ROOT / "checks" / "metrics" / "workers.py"
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in CODE
        if path != trusted
        for word in unsafe
        if word in path.read_text() and "weights_only=True" not in path.read_text()
    ]
    assert found == []
