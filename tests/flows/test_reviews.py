"""Reviews: what is asked, how a file comes back, who is heard, and what it changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checks.core.errors import SourceError
from checks.core.reviewed import measure_reviews, settle_opinions
from flows.app.cli import main
from flows.app.config import load_config
from flows.app.launch import run_line
from flows.app.outcome import warnings_of
from flows.app.review_choice import choose_samples
from flows.app.review_file import COLUMNS, read_review, write_review
from flows.app.review_import import ReviewError, take_in
from flows.app.review_store import decide_by_reviews, hear, merge_opinions
from flows.app.reviewing import export_review
from flows.app.store import RunFolder, open_run

TEXT = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
LIVE = ["=1+1", "+1", "-1+cmd", "@A1", "\t=1", "\r=1", "\n=1"]


def key(index: int) -> str:
    """Return the sample_id of sample number `index`."""
    return f"{index:032x}-0"


def make_page(**columns: list[object]) -> pl.DataFrame:
    """A review of as many rows as a column has; what is not told is null."""
    height = len(next(iter(columns.values())))
    told = {name: columns.get(name, [None] * height) for name in COLUMNS}
    return pl.DataFrame(told, schema=COLUMNS)


def make_opinions(*rows: tuple[str, str, str, str | None]) -> pl.DataFrame:
    """What people said: sample, reviewer, verdict, new label; of the label `a`, all asked alike."""
    names = ["sample_id", "reviewer", "verdict", "new_label"]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
    return frame.select(
        "sample_id", pl.lit("a").alias("label"), "verdict", "new_label",
        pl.lit(None, pl.String).alias("comment"), "reviewer",
        pl.lit("2026-01-01T00:00:00+00:00").alias("reviewed_at"), pl.lit(1.0).alias("drawn_prob"),
    )  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
def test_a_file_comes_back_as_it_went(
    tmp_path: Path, texts: list[tuple[str | None, str | None]]
) -> None:
    """Any text, empty or absent, survives CSV and Parquet, and numbers do."""
    page = make_page(
        sample_id=[key(at) for at in range(len(texts))], uri=[one for one, _ in texts],
        label=[other for _, other in texts], row=list(range(len(texts))),
        suspicion=[1 / 3] * len(texts), drawn_prob=[0.1] * len(texts),
    )  # fmt: skip
    for name in ("review.csv", "review.parquet"):
        write_review(tmp_path / name, page)
        assert read_review(tmp_path / name).equals(page)


@pytest.mark.parametrize("text", LIVE)
def test_no_cell_of_a_review_is_a_live_formula(tmp_path: Path, text: str) -> None:
    """What a spreadsheet would run has an apostrophe in front."""
    path = tmp_path / "review.csv"
    write_review(path, make_page(sample_id=["x"], uri=[text], evidence=[text]))
    told = pl.read_csv(path, infer_schema=False).row(0, named=True)
    assert told["uri"] == told["evidence"] == f"'{text}"


def test_files_that_are_no_review_are_refused(tmp_path: Path) -> None:
    """Another ending, missing columns and no file at all raise one sentence each."""
    (tmp_path / "bare.csv").write_text("sample_id,label\nx,a\n")
    for name, problem in (("a.xlsx", "no kind of file"), ("bare.csv", "columns are missing"),
                          ("none.csv", "cannot be read")):  # fmt: skip
        with pytest.raises(SourceError, match=problem):
            read_review(tmp_path / name)


def test_a_spreadsheets_own_separator_is_read(tmp_path: Path) -> None:
    """Semicolons and a mark of the byte order, as a spreadsheet saves them, change nothing."""
    path = tmp_path / "review.csv"
    path.write_text("\ufeffsample_id;verdict\nx;right\n", encoding="utf-8")
    assert read_review(path).select("sample_id", "verdict").row(0) == ("x", "right")


def make_tables(flags: int) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """A hundred samples, findings on the first `flags`, and a suspicion that falls by row."""
    ids = [key(row) for row in range(100)]
    samples = pl.DataFrame({"sample_id": ids, "split": "train", "label": "a"})
    findings = pl.DataFrame({
        "sample_id": ids[:flags], "check_id": "unlikely_label", "column": None,
        "dimension": "incorrect", "suggestion": "b", "evidence": "seen",
    }, schema_overrides={"sample_id": pl.String, "column": pl.String})  # fmt: skip
    suspicion = [1 - row / 100 for row in range(100)]
    return samples, findings, pl.DataFrame({"sample_id": ids, "label_suspicion": suspicion})


def test_the_most_valuable_are_asked_first() -> None:
    """Surest flags, then what lies just below the cut, then a random draw of all others."""
    chosen = choose_samples(*make_tables(5), count=20)
    assert chosen["sample_id"].to_list()[:16] == [key(row) for row in range(16)]
    assert chosen["reason"].to_list() == ["flagged"] * 5 + ["borderline"] * 11 + ["random"] * 4
    assert chosen["drawn_prob"].to_list() == [1.0] * 16 + [4 / 84] * 4
    assert chosen["sample_id"].is_unique().all()


def test_of_many_flags_half_are_drawn() -> None:
    """Where not all flags fit, the surest come for certain and the rest by a known chance."""
    tables = make_tables(60)
    chosen = choose_samples(*tables, count=20)
    flagged = chosen.filter(reason="flagged")
    assert flagged["sample_id"].to_list()[:6] == [key(row) for row in range(6)]
    assert flagged["drawn_prob"].to_list() == [1.0] * 6 + [6 / 54] * 6
    again = choose_samples(*tables, count=20, done=chosen.select("sample_id"))
    assert set(again["sample_id"]) & set(chosen["sample_id"]) == set()
    assert choose_samples(*tables, count=20).equals(chosen)


@pytest.mark.parametrize("flags", [0, 3, 40, 100])
def test_weighed_draws_add_up(flags: int) -> None:
    """The inverse chances of those asked about add up to the flagged, and to the others."""
    samples, findings, scores = make_tables(flags)
    chosen = choose_samples(samples, findings, scores, count=30)
    assert chosen.height == 30
    weighed = chosen.with_columns(weight=1 / pl.col("drawn_prob"))
    own = weighed.filter(pl.col("sample_id").is_in(findings["sample_id"].implode()))["weight"].sum()
    assert own == pytest.approx(flags)
    assert weighed["weight"].sum() == pytest.approx(100)


def test_weighed_rates_are_unbiased() -> None:
    """Over many draws the estimated number of wrong labels is the true one."""
    samples, findings, scores = make_tables(40)
    wrong = [row % 3 == 0 if row < 40 else row % 10 == 0 for row in range(100)]
    truth = pl.DataFrame({"sample_id": samples["sample_id"], "wrong": wrong})
    word = pl.when("wrong").then(pl.lit("wrong")).otherwise(pl.lit("right"))
    told = []
    for seed in range(0, 600, 2):
        asked = choose_samples(samples, findings, scores, count=30, seed=seed)
        verdicts = asked.join(truth, on="sample_id").with_columns(verdict=word)
        told.append(measure_reviews(scores, findings, verdicts).wrong_labels or 0.0)
    assert sum(told) / len(told) == pytest.approx(sum(wrong), abs=0.7)


def test_the_majority_decides_and_a_tie_does_not() -> None:
    """Most of the sure ones win, a tie is unsure, and the label is what most propose."""
    settled = settle_opinions(make_opinions(
        ("1", "ada", "right", None), ("1", "bob", "right", None), ("1", "eve", "wrong", "b"),
        ("2", "ada", "right", None), ("2", "bob", "wrong", "b"), ("2", "eve", "unsure", None),
        ("3", "ada", "wrong", "b"), ("3", "bob", "wrong", "c"), ("4", "ada", "unsure", None),
        ("5", "ada", "wrong", "b"), ("5", "bob", "wrong", None),
    ))  # fmt: skip
    told = settled.sort("sample_id").select("verdict", "new_label", "disputed").rows()
    assert told == [("right", None, True), ("unsure", None, True), ("wrong", None, True),
                    ("unsure", None, False), ("wrong", "b", False)]  # fmt: skip
    decided = decide_by_reviews(settled, "down_weight").sort("sample_id")
    assert decided.select("sample_id", "action", "new_label").rows() == [
        ("1", "keep", None), ("3", "down_weight", None), ("5", "relabel", "b")
    ]  # fmt: skip


def test_a_later_word_takes_the_place_of_the_earlier_one() -> None:
    """One reviewer has one opinion of a sample; the same said twice keeps its time."""
    held = make_opinions(("1", "ada", "right", None), ("1", "bob", "right", None))
    later = pl.lit("2027-01-01T00:00:00+00:00").alias("reviewed_at")
    new = make_opinions(("1", "ada", "wrong", "b"), ("1", "bob", "right", None))
    merged = merge_opinions(held, new.with_columns(later))
    assert merged.select("reviewer", "verdict").rows() == [("ada", "wrong"), ("bob", "right")]
    assert merged["reviewed_at"].str.head(4).to_list() == ["2027", "2026"]


def test_what_was_said_of_another_label_is_not_heard() -> None:
    """A verdict holds for the label that was judged; ids of other sets are kept."""
    opinions = make_opinions(("1", "ada", "wrong", "b"), ("9", "ada", "wrong", "b"))
    heard, stale = hear(opinions, pl.DataFrame({"sample_id": ["1"], "label": ["b"]}))
    assert (heard["sample_id"].to_list(), stale) == (["9"], 1)


@pytest.fixture
def reviewed(tmp_path: Path, write_config: Callable[..., Path]) -> tuple[Path, RunFolder]:
    """A table of 200 rows in two classes, cleaned, by its configuration and its run."""
    rows = [f"{at},{'ab'[at % 2]},{'xyz'[at % 3]}" for at in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(["n,label,site", *rows]) + "\n")
    path = write_config(tmp_path, tmp_path / "t.csv", head='label = "label"')
    return path, clean(path, tmp_path / "run")


def clean(path: Path, out: Path) -> RunFolder:
    """Run the line up to the shards."""
    config = load_config(path)
    run = open_run(config, out)
    run_line(config, run, until="clean", train=False)
    return run


def test_a_review_is_heard_by_the_next_run(reviewed: tuple[Path, RunFolder]) -> None:
    """Right keeps, a new label relabels, wrong drops; taken in twice it changes nothing."""
    path, run = reviewed
    file = path.parent / "review.csv"
    assert "20 labels to review" in export_review(run.path, file, count=20)
    page = read_review(file)
    assert page.height == 20
    other = pl.col("label").replace({"a": "b", "b": "a"})
    filled = page.with_row_index("at").with_columns(
        verdict=pl.Series(["right", "wrong", "wrong", "unsure"] + [None] * 16, dtype=pl.String),
        new_label=pl.when(pl.col("at") == 1).then(other),
    )
    write_review(file, filled.select(list(COLUMNS)))
    told = take_in(run.path, file, "ada")
    store = path.parent / "reviews.parquet"
    assert "4 verdicts of ada (1 right, 2 wrong, 1 unsure)" in told
    before = store.read_bytes()
    take_in(run.path, file, "ada")
    assert store.read_bytes() == before
    again = clean(path, path.parent / "run")
    decided = (
        page.select("sample_id")
        .head(4)
        .join(again.read_table("decisions"), on="sample_id", maintain_order="left")
    )
    assert decided["action"].to_list()[:3] == ["keep", "relabel", "drop"]
    assert decided["decided_by"].to_list() == ["ada"] * 3 + ["policy"]
    facts = again.read_json("clean.json")
    assert facts["reviews"]["wrong"] == 2
    heard = again.read_json("checks.json")["facts"]["unlikely_label"]["reviews"]
    train = page.head(3)["split"] == "train"
    assert (heard["heard"], heard["wrong"]) == (train.sum(), train.tail(2).sum())
    assert {row["slice"] for row in facts["slices"]["rows"]} == {"class", "site"}
    export_review(run.path, file, count=20)
    assert not set(read_review(file)["sample_id"]) & set(decided["sample_id"][:3])


def test_verdicts_on_the_test_split_are_told(
    reviewed: tuple[Path, RunFolder], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A label of test that a person mends is mended, and clean and diff say so in a sentence."""
    path, run = reviewed
    file = path.parent / "review.csv"
    test = run.read_table("samples").filter(split="test").head(2)
    other = test["label"].replace({"a": "b", "b": "a"}).to_list()
    write_review(file, make_page(sample_id=test["sample_id"].to_list(), verdict=["wrong"] * 2,
                                 new_label=other))  # fmt: skip
    monkeypatch.chdir(run.path)
    assert take_in(run.path, file, "ada").startswith("../reviews.parquet: 2 verdicts of ada")
    again = clean(path, path.parent / "run")
    assert again.read_json("clean.json")["evaluation_changed_by_people"] == {"test": 2}
    told = "people's decisions changed 2 samples in test"
    assert [line for line in warnings_of(again) if line.startswith(told)] != []
    with pytest.raises(SystemExit):
        main(["shards", "diff", str(run.path), "raw", "cleaned"])
    assert told in capsys.readouterr().err


def test_all_mistakes_of_a_review_are_told(reviewed: tuple[Path, RunFolder]) -> None:
    """Unknown ids, verdicts and classes and contradictions are told at once, with the nearest."""
    _, run = reviewed
    held = run.read_table("samples").sort("row").head(6)
    ids, labels = held["sample_id"].to_list(), held["label"].to_list()
    page = make_page(
        sample_id=[key(1), *ids, ids[5]],
        label=[None, *labels[:4], "zebra", None, None],
        verdict=["right", "rong", "right", "wrong", "wrong", "right", "Right ", "wrong"],
        new_label=[None, None, "b", labels[2], "A", None, None, None],
        drawn_prob=[None] * 6 + [2.0, None],
    )
    file = run.path / "review.csv"
    write_review(file, page)
    with pytest.raises(ReviewError) as refused:
        take_in(run.path, file, "ada")
    lines = refused.value.lines
    assert [line.split(": ", 1)[0] for line in lines] == [
        f"review.csv, row {row}" for row in (2, 3, 4, 5, 6, 7, 8, 9)
    ]
    for line, word in zip(lines, ("no sample", "Did you mean 'wrong'?", "contradict", "that it has",
                                  "Did you mean 'a'?", "Export again", "at most 1",
                                  "something else in row 8"), strict=True):  # fmt: skip
        assert word in line
    assert not (run.path.parent / "reviews.parquet").exists()
