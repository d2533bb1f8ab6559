"""The verdicts on cells in a run folder, and the rows that a person marks for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from checks.core.cells import run_cell_checks
from checks.core.errors import SourceError
from flows.app.choosing import chosen_checks
from flows.app.config import Config
from flows.app.intake import open_data, read_table_profile
from flows.app.sections import ChecksSection
from flows.app.stations import profile
from flows.app.store import RunFolder, open_run
from flows.app.table_intake import need_rows
from flows.app.targets import open_target
from flows.app.wrong_cells import TO_MARK, harmless, write_cells

TOWNS = ["Bonn", "Ulm", "Kiel", "Jena"]


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunFolder]:
    """A table with two typos, a formula and some fractions that are right, and its profile."""
    folder = tmp_path_factory.mktemp("cells")
    towns = [TOWNS[i % 4] + "ingen" for i in range(400)]
    towns[5], towns[77] = "Ulmxngen", "Jenaingxn"
    hours = ["37.3" if i % 60 == 9 else str(20 + i % 40) for i in range(400)]
    notes = ["=1+1" if i == 5 else f"ref {i}" for i in range(400)]
    path = folder / "work.csv"
    pl.DataFrame({"town": towns, "hours": hours, "note": notes,
                  "class": ["a", "b"] * 200}).write_csv(path)  # fmt: skip
    config, run = open_target(path, folder / "run", label="class")
    profile(config, run)
    need_rows(config, run, open_data(config))
    return path, run


@pytest.fixture
def run(profiled: tuple[Path, RunFolder]) -> Iterator[RunFolder]:
    """The profiled run, without cells of an earlier test."""
    yield profiled[1]
    for name in ("cells.parquet", TO_MARK):
        profiled[1].file(name).unlink(missing_ok=True)


def judge(run: RunFolder, labels: Path | None = None) -> dict[tuple[int, str], float]:
    """The confidence of every cell that the run's cells.parquet holds."""
    config: Config = run.read_config()
    checks = ChecksSection(labels=None if labels is None else str(labels.resolve()))
    config = config.model_copy(update={"checks": checks})
    source = open_data(config)
    ids = run.read_table("samples").select("uri", "row", "sample_id")
    found = run_cell_checks(
        source.scan(), ids, read_table_profile(run), chosen_checks(config, "table")
    )
    write_cells(config, run, source, found)
    told = run.read_table("cells").select("row", "column", "confidence").iter_rows()
    return {(row, column): sure for row, column, sure in told}


def test_cells_are_written(run: RunFolder) -> None:
    """The typos are wrong for almost certain; a guarded table says so, with what was meant."""
    sure = judge(run)
    assert sure[5, "town"] > 0.9
    assert sure[77, "town"] > 0.9
    cells = run.read_table("cells").filter(column="town").sort("row")
    assert cells["suggestion"].to_list() == ["Ulmingen", "Jenaingen"]


def test_rows_are_asked_for(run: RunFolder) -> None:
    """Twenty rows come with their values and room for the marks; no cell is a live formula."""
    judge(run)
    page = pl.read_csv(run.file(TO_MARK), infer_schema=False)
    assert page.columns == ["uri", "row", "wrong", "town", "hours", "note", "class"]
    assert page.height == 20
    assert page["wrong"].null_count() == 20
    assert {"5", "77"} <= set(page["row"])
    assert page.filter(row="5")["note"].item() == "'=1+1"


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1+cmd|' /C calc'!A0", "@A1", "\t=1", "-A1"])
def test_no_formula_is_live(text: str) -> None:
    """A cell or a name that a spreadsheet would run is quoted, names stay apart, numbers stay."""
    frame = pl.DataFrame({text: [text, "-1.5e3", "+7", None], f"'{text}": ["a", "b", "c", "d"]})
    told = frame.select(harmless(name, frame.columns) for name in frame.columns)
    assert told.columns == [f"''{text}", f"'{text}"]
    assert told.to_series(0).to_list() == [f"'{text}", "-1.5e3", "+7", None]


def test_marks_overrule_a_detector(run: RunFolder) -> None:
    """Marked rows without a wrong cell silence the detector that flagged them in others too."""
    before = judge(run)
    page = pl.read_csv(run.file(TO_MARK), infer_schema=False)
    wrong = pl.when(pl.col("row").is_in(["5", "77"])).then(pl.lit("town"))
    page.with_columns(wrong=wrong).write_csv(run.file(TO_MARK))
    after = judge(run, run.file(TO_MARK))
    fractions = [cell for cell in before if cell[1] == "hours"]
    assert min(before[cell] for cell in fractions) > 0.5
    assert max(after[cell] for cell in fractions) < 0.5
    assert after[5, "town"] == 1.0


def test_a_page_with_marks_stays(run: RunFolder) -> None:
    """A page that somebody has begun to fill in is not written over; an empty one is."""
    judge(run)
    path = run.file(TO_MARK)
    page = path.read_text()
    path.write_text("uri,row,wrong\nwork.csv,5,town\n")
    judge(run)
    assert path.read_text() == "uri,row,wrong\nwork.csv,5,town\n"
    path.write_text("uri,row,wrong\nwork.csv,5,\n")
    judge(run)
    assert path.read_text() == page


def test_labels_become_part_of_the_configuration(
    profiled: tuple[Path, RunFolder], tmp_path: Path
) -> None:
    """--labels stands for [checks] labels; a file that is not there is one sentence."""
    path, _ = profiled
    marks = tmp_path / "rows.csv"
    marks.write_text("row,wrong\n5,town\n")
    config, _ = open_target(path, tmp_path / "run", marks, label="class")
    assert config.checks.labels == str(marks.resolve())
    with pytest.raises(SourceError, match="no such file of marked rows"):
        open_target(path, tmp_path / "run", tmp_path / "none.csv")


def test_open_run_keeps_the_folder(profiled: tuple[Path, RunFolder], tmp_path: Path) -> None:
    """A run folder can be marked and judged again in place."""
    _, run = profiled
    marks = tmp_path / "rows.csv"
    marks.write_text("row,wrong\n5,town\n")
    config, again = open_target(run.path, None, marks)
    assert again.path == run.path
    assert open_run(config, run.path).read_config().checks.labels is not None
