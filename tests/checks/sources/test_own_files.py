import json
from pathlib import Path

import polars as pl
import pytest

from checks.core.errors import SourceError
from checks.metrics.baseline import make_baseline
from checks.sources.listing import list_files
from checks.sources.source import open_source

RUN = {"version": 1, "source": {"path": "."}, "run": {"name": "photos", "base": "../.."}}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of one file each, beside them a run, its settings, baseline and verdicts."""
    for name in ("cat/a.jpg", "dog/b.jpg", "runs/photos-1/report.html", "runs/photos-1/c.parquet"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "runs/photos-1/config.json").write_text(json.dumps(RUN))
    (tmp_path / "gristmill.toml").write_text("version = 1\n")
    about = {"run": "photos-1", "gristmill": "0.1.0", "samples": 2}
    none = pl.DataFrame(schema={"split": pl.String, "label": pl.String})
    (tmp_path / "baseline.json").write_text(make_baseline({}, none, about).to_json())
    said = {"sample_id": "a-0", "reviewer": "ann", "verdict": "right", "drawn_prob": 1.0}
    pl.DataFrame([said]).write_parquet(tmp_path / "reviews.parquet")
    return tmp_path


def test_what_gristmill_wrote_beside_data_is_no_data(photos: Path) -> None:
    """A run folder, settings, baseline and verdicts inside a source are left out, without a word.

    A class may be called runs all the same, and its folder may hold a config.json.
    """
    found = list_files(photos)
    assert [fact.uri for fact in found.files] == ["cat/a.jpg", "dog/b.jpg"]
    assert found.problems == ()
    (photos / "runs/config.json").write_text('{"run": 1}')
    (photos / "runs/d.jpg").write_bytes(b"x")
    assert open_source(photos).entries()["label"].to_list() == ["cat", "dog", "runs", "runs"]


@pytest.mark.parametrize("text", ["", "[" * 9_000, '{"run": {}}', '[{"run": {}}]', "\xff"])
def test_a_strange_config_hides_no_folder(tmp_path: Path, text: str) -> None:
    """A class folder with a config.json that is none of a run's stays a class folder."""
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat/config.json").write_text(text, "latin-1")
    assert [fact.uri for fact in list_files(tmp_path).files] == ["cat/config.json"]


def test_a_users_own_reviews_are_data(tmp_path: Path) -> None:
    """Tables and notes that only share a name with a file of ours are read like any others."""
    pl.DataFrame({"stars": [1, 2]}).write_parquet(tmp_path / "reviews.parquet")
    assert open_source(tmp_path).entries().height == 2
    (tmp_path / "reviews.parquet").write_bytes(b"PAR1")
    (tmp_path / "baseline.json").write_text('{"about": 1}')
    assert [fact.uri for fact in list_files(tmp_path).files] == ["baseline.json", "reviews.parquet"]


def test_verdicts_and_runs_stay_out_of_a_table(photos: Path) -> None:
    """A CSV is not held to lie beside the verdicts on it, by folder or by `**`; a name reaches all.

    Shards of a run, named by a glob, are still a source.
    """
    (photos / "a.csv").write_text("x\n1\n2\n")
    assert open_source(photos, kind="table").entries()["uri"].unique().to_list() == ["a.csv"]
    pl.DataFrame({"x": [3]}).write_parquet(photos / "runs/photos-1/c.parquet")
    with pytest.raises(SourceError, match="no file matches"):
        open_source(photos / "**/*.parquet")
    assert open_source(photos / "runs/*/*.parquet").entries().height == 1
