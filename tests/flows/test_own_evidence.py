"""A user's own embedding and class scores: read from columns and files, hostile ones told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from checks.core.errors import SourceError
from checks.core.tables import Probabilities, guard
from flows.app.config import Config, ConfigError, load_config, read_config
from flows.app.evidence_values import match_classes, read_class_scores, read_embedding
from flows.app.intake import open_data
from flows.app.launch import run_line
from flows.app.store import RunFolder, open_run

WriteConfig = Callable[..., Path]
N = 120
HEAD = 'label = "label"\nsplit = "split"'


def _frame() -> pl.DataFrame:
    """Rows whose x tells the label, with class scores and a vector beside them."""
    rng = np.random.default_rng(1)
    labels = np.arange(N) % 2
    p = np.where(labels == 1, 0.9, 0.2)
    return pl.DataFrame({
        "x": (labels * 3 + rng.normal(size=N)).round(3), "y": rng.normal(size=N).round(3),
        "label": np.array(["cat", "dog"])[labels],
        "split": np.where(np.arange(N) < 100, "train", "test"),
        "p_cat": 1 - p, "p_dog": p,
        "vector": pl.Series(rng.normal(size=(N, 4)), dtype=pl.Array(pl.Float64, 4)),
    })  # fmt: skip


def _config(folder: Path, labels: dict[str, Any], frame: pl.DataFrame | None = None) -> Config:
    (_frame() if frame is None else frame).write_parquet(folder / "t.parquet")
    source = {"path": "t.parquet", "label": "label", "split": "split"}
    return read_config({"version": 1, "source": source, "labels": labels}, base=folder)


def _samples(count: int = N) -> pl.DataFrame:
    frame = _frame().head(count)
    return frame.select("label", "split").with_columns(
        uri=pl.lit("t.parquet"), row=pl.int_range(count, dtype=pl.Int64),
        sample_id=pl.Series([f"{at:032x}-0" for at in range(count)]),
    )  # fmt: skip


def _check(path: Path, out: Path) -> tuple[RunFolder, Any]:
    config = load_config(path)
    run = open_run(config, out)
    return run, run_line(config, run, until="check", train=False).stations[-1]


def test_columns_of_a_table_are_evidence_and_no_data(
    tmp_path: Path, write_config: WriteConfig
) -> None:
    """Own columns reach the checks' tables; profile, ids and shards are as if they were absent."""
    runs = {}
    own = '[labels]\nembedding = "vector"\nprobabilities = ["p_cat", "p_dog"]'
    for name, extra in (("own", own), ("none", "")):
        folder = tmp_path / name
        folder.mkdir()
        frame = _frame() if name == "own" else _frame().select("x", "y", "label", "split")
        frame.write_parquet(folder / "t.parquet")
        path = write_config(folder, folder / "t.parquet", extra, head=HEAD)
        runs[name] = _check(path, folder / "run")[0]
    given, none = runs["own"], runs["none"]
    assert given.read_table("samples")["sample_id"].equals(none.read_table("samples")["sample_id"])
    columns = [[c["name"] for c in run.read_json("profile.json")["columns"]]  # type: ignore[attr-defined]
               for run in (given, none)]  # fmt: skip
    assert columns[0] == columns[1]
    stored = [{p.name for p in run.file("shards").rglob("*.parquet") if "train" in p.parts}
              for run in (given, none)]  # fmt: skip
    assert stored[0] == stored[1] != set()
    assert given.read_table("features").schema["features"] == pl.Array(pl.Float32, 4)
    assert set(given.read_table("probabilities")["fold"]) == {-1}
    assert set(none.read_table("probabilities").filter(pl.col("fold") >= 0)["fold"]) == set(
        range(5)
    )
    facts: Any = given.read_json("checks.json")["evidence"]
    assert facts["probabilities"]["used"] == facts["features"]["used"] == N


def test_scores_are_made_once(tmp_path: Path, write_config: WriteConfig) -> None:
    """A changed check takes the class scores of unchanged rows from the cache, byte for byte."""
    _frame().select("x", "y", "label", "split").write_parquet(tmp_path / "t.parquet")
    path = write_config(tmp_path, tmp_path / "t.parquet", head=HEAD)
    run, _ = _check(path, tmp_path / "run")
    first = run.digest_of("probabilities.parquet")
    (held,) = run.file("cache").rglob("scores-*.parquet")
    before = held.stat().st_mtime_ns
    extra = "[checks.unlikely_label]\nneighbour_count = 9"
    write_config(tmp_path, tmp_path / "t.parquet", extra, head=HEAD)
    run, facts = _check(path, tmp_path / "run")
    assert not facts["skipped"]
    assert run.digest_of("probabilities.parquet") == first
    assert held.stat().st_mtime_ns == before


def test_changed_scores_are_read_again(tmp_path: Path, write_config: WriteConfig) -> None:
    """Other class scores in the same columns make the check station anew."""
    extra = '[labels]\nprobabilities = ["p_cat", "p_dog"]'
    path = write_config(tmp_path, tmp_path / "t.parquet", extra, head=HEAD)
    seen = []
    for high in (0.9, 0.8):
        frame = _frame().with_columns(p_dog=pl.lit(high), p_cat=pl.lit(1 - high))
        frame.write_parquet(tmp_path / "t.parquet")
        run, _ = _check(path, tmp_path / "run")
        seen.append(run.read_table("probabilities")["prob"].max())
    assert seen == [pytest.approx(0.9), pytest.approx(0.8)]


def test_a_file_by_uri_serves_a_folder_of_images(
    tmp_path: Path, tiny_images: Path, write_config: WriteConfig
) -> None:
    """Scores and vectors in files, keyed by uri, are the ones that checks of images get."""
    path = write_config(tmp_path, tiny_images)
    plain, _ = _check(path, tmp_path / "plain")
    samples = plain.read_table("samples")
    assert not plain.has("probabilities.parquet")
    classes = samples["label"].drop_nulls().unique().sort().to_list()
    share = [pl.lit(1 / len(classes)).alias(name) for name in classes]
    samples.select("uri", *share).write_csv(tmp_path / "p.csv")
    vectors = pl.Series("v", [[float(at), 1.0] for at in range(samples.height)])
    samples.select("sample_id").with_columns(vectors).write_parquet(tmp_path / "f.parquet")
    extra = '[labels]\nembedding = "f.parquet"\nprobabilities = "p.csv"'
    path = write_config(tmp_path, tiny_images, extra)
    run, _ = _check(path, tmp_path / "run")
    assert run.read_table("features").schema["features"] == pl.Array(pl.Float32, 2)
    assert run.read_table("probabilities").height == samples.height * len(classes)


def test_columns_of_an_image_table(tmp_path: Path) -> None:
    """Columns beside the image are read row by row."""
    frame = _frame().with_columns(image=pl.lit(b"x"))
    config = _config(tmp_path, {"embedding": "vector", "probabilities": ["p_dog", "p_cat"]}, frame)
    source = open_data(config)
    assert source.kind == "image_table"
    told = read_embedding(config, source, _samples())
    scores = read_class_scores(config, source, _samples())
    assert told is not None
    assert scores is not None
    assert told.table["features"][3].to_list() == pytest.approx(_frame()["vector"][3].to_list())
    guard(Probabilities, scores.table, "test")


def test_wrong_rows_are_set_aside_and_counted(tmp_path: Path) -> None:
    """NaN, null, sums off 1, values out of range, strange widths, absent rows: none is lost."""
    frame = _frame().with_columns(vector=pl.col("vector").arr.to_list())
    p = frame["p_cat"].to_list()
    p[0], p[1], p[2], p[3] = float("nan"), None, 5.0, 0.5
    vectors = frame["vector"].to_list()
    vectors[0], vectors[1], vectors[2] = [1.0], [float("inf")] * 4, None
    frame = frame.with_columns(p_cat=pl.Series(p), vector=pl.Series(vectors))
    config = _config(tmp_path, {"embedding": "e.parquet", "probabilities": "p.parquet"})
    keys = {"uri": pl.lit("t.parquet"), "row": pl.int_range(N, dtype=pl.Int64) + 5}
    rows = {**keys, "row": pl.int_range(N, dtype=pl.Int64)}
    frame.select("p_cat", "p_dog", **rows).write_parquet(tmp_path / "p.parquet")
    frame.select("vector", **rows).write_parquet(tmp_path / "e.parquet")
    source = open_data(config)
    scores, told = (
        read(config, source, _samples()) for read in (read_class_scores, read_embedding)
    )
    assert scores is not None
    assert told is not None
    assert scores.facts["set_aside"] == {
        "below 0 or above 1": 1, "does not sum to 1": 1, "not a finite number": 2,
    }  # fmt: skip
    assert told.facts["set_aside"] == {
        "another width than the rest": 2, "not a finite number": 1,
    }  # fmt: skip
    assert scores.facts["examples"][0] == "t.parquet row 0"
    frame.select("p_cat", "p_dog", **keys).write_parquet(tmp_path / "p.parquet")
    scores = read_class_scores(config, source, _samples())
    assert scores is not None
    assert (scores.facts["missing"], scores.facts["strangers"]) == (5, 5)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"probabilities": ["p_cta", "p_dog"]}, "Did you mean 'p_cat'"),
        ({"probabilities": ["p_cat", "x"]}, "a column of no class (got 'x')"),
        ({"probabilities": ["p_cat", "label"]}, "is the label or the split itself"),
        ({"probabilities": "none.parquet"}, "no such file"),
        ({"embedding": "x"}, "holds no vectors"),
        ({"embedding": "vectr"}, "Did you mean 'vector'"),
        ({"embedding": "t.parquet"}, "has no key of samples"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_sentence(
    tmp_path: Path, labels: dict[str, Any], told: str
) -> None:
    """A wrong name, type or file ends the run with a sentence that names the nearest."""
    config = _config(tmp_path, labels)
    read = read_embedding if "embedding" in labels else read_class_scores
    with pytest.raises(SourceError) as caught:
        read(config, open_data(config), _samples())
    assert told in str(caught.value)


def test_files_that_no_row_of_can_be_used(tmp_path: Path) -> None:
    """A file of other data, one that tells a sample twice and one that is none are refused."""
    config = _config(tmp_path, {"probabilities": "p.parquet"})
    path = tmp_path / "p.parquet"
    frame = pl.DataFrame({"uri": ["u", "u"], "cat": [0.5, 0.5], "dog": [0.5, 0.5]})
    for content, told in ((frame, "tells of a sample twice"), (frame.head(1), "nothing in it")):
        content.write_parquet(path)
        with pytest.raises(SourceError, match=told):
            read_class_scores(config, open_data(config), _samples())
    path.write_bytes(b"no parquet")
    with pytest.raises(SourceError, match="cannot be read"):
        read_class_scores(config, open_data(config), _samples())


def test_classes_and_columns_must_match() -> None:
    """Two columns of one class, and a class of train without one, are told; test's may lack one."""
    samples = pl.DataFrame({"split": ["train", "train", "test"], "label": ["a", "b", "c"]})
    assert match_classes("w", {"m.a": "m.a", "m.b": "m.b"}, samples) == ["a", "b"]
    with pytest.raises(SourceError, match="two columns for the class 'a'"):
        match_classes("w", {"a": "a", "p_a": "p_a"}, samples)
    with pytest.raises(SourceError, match="no column for a class"):
        match_classes("w", {"a": "a", "c": "c"}, samples)


@pytest.mark.parametrize("scores", ["p_cat", ["p_cat"], ["p_cat", "p_cat"]])
def test_settings_that_say_no_scores(scores: object) -> None:
    """One column alone, a column twice, or a bare name is told before anything is read."""
    raw = {"version": 1, "source": {"path": "x"}, "labels": {"probabilities": scores}}
    with pytest.raises(ConfigError, match="probabilities"):
        read_config(raw)
