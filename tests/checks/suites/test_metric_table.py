import polars as pl
import pytest

from checks.suites.metric_table import build

CLASSES = ["cat"] * 6 + ["dog"] * 3 + [None]
FLOATS = {"value": pl.Float64, "threshold": pl.Float64}
NAMES = ("sample_id", "check_id", "column", "dimension", "severity", *FLOATS)


def make_samples(uris: list[str], rows: list[int]) -> pl.DataFrame:
    """Ten samples, eight of them in train; the last has no label."""
    return pl.DataFrame(
        {
            "sample_id": [f"{index:032x}-0" for index in range(10)],
            "split": ["train"] * 8 + ["test"] * 2,
            "label": pl.Series(CLASSES, dtype=pl.String),
            "uri": uris,
            "row": rows,
            "byte_size": [1] * 10,
            "xxh3_128": [f"{index:032x}" for index in range(10)],
        }
    )


def make_findings(*hits: tuple[int, str, str]) -> pl.DataFrame:
    """Findings from (sample, check, dimension)."""
    rows = [
        (f"{index:032x}-0", check, None, dimension, "warning", None, None, "seen", None)
        for index, check, dimension in hits
    ]
    schema = {name: FLOATS.get(name, pl.String) for name in (*NAMES, "evidence", "suggestion")}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_images_are_counted_by_split_and_class_folder():
    """Each batch and the whole set get exact shares of rows, gaps, findings, copies and leaks."""
    uris = [f"cat/{i}.png" for i in range(6)] + [f"dog/{i}.png" for i in range(4)]
    samples = make_samples(uris, [0] * 10)
    metrics = samples.select("sample_id", luma_mean=pl.Series([None, None, *[0.5] * 8]))
    findings = make_findings(
        (0, "unreadable", "missing"), (1, "exact_duplicate", "duplicate"),
        (1, "too_dark", "low_quality"), (6, "cross_split_leak", "leak"), (9, "too_dark", "drift"),
    )  # fmt: skip
    table = build(samples, metrics, findings, "image", check_ids=["blurry", "too_dark"])
    assert table["batch"].to_list() == ["all", "test: dog", "train: cat", "train: dog"]
    assert table["row_count"].to_list() == [10, 2, 6, 2]
    assert table["class_count"].to_list() == [2, 1, 1, 1]
    assert table["unreadable_frac"].to_list() == [0.1, 0.0, 1 / 6, 0.0]
    assert table["missing_label_frac"].to_list() == [0.1, 0.5, 0.0, 0.0]
    assert table["leak_rate"].to_list() == [1 / 8, None, 0.0, 1 / 2]
    assert table["too_dark__rate"].to_list() == [0.2, 0.5, 1 / 6, 0.0]
    assert table["blurry__rate"].to_list() == [0.0] * 4
    assert table["luma_mean__null_frac"].to_list() == [0.2, 0.0, 2 / 6, 0.0]
    assert table["class_entropy_frac"].to_list() == [pytest.approx(0.9183, abs=1e-4), *[None] * 3]


def test_tables_are_counted_by_split_and_file():
    """Rows of one file and split form a batch, and gaps are counted for each data column."""
    samples = make_samples(["a.csv"] * 5 + ["b.csv"] * 5, [0, 1, 2, 3, 4] * 2)
    scan = samples.lazy().select("uri", "row", batch=pl.Series([None, *"abcdefghi"]), split=1)
    metrics = samples.select("sample_id", "uri", "row", missing_count=0)
    table = build(samples, metrics, make_findings(), "table", scan=scan)
    assert table["batch"].to_list() == ["all", "test: b.csv", "train: a.csv", "train: b.csv"]
    assert table["batch__null_frac"].to_list() == [0.1, 0.0, 0.2, 0.0]
    assert table["split__null_frac"].to_list() == [0.0] * 4


def test_a_set_without_labels_has_no_missing_ones():
    """Where nothing is labelled there is no class count and no share of missing labels."""
    samples = make_samples(["a.csv"] * 10, list(range(10)))
    samples = samples.with_columns(label=pl.lit(None, pl.String))
    table = build(samples, samples.select("sample_id"), make_findings(), "table")
    assert table["missing_label_frac"].null_count() == table.height
    assert table["class_count"].null_count() == table.height


def test_an_empty_set_has_one_row_of_nothing():
    """No samples give the row `all` with a count of 0 and shares that are null, not NaN."""
    samples = make_samples(["a.csv"] * 10, list(range(10))).clear()
    table = build(samples, samples.select("sample_id"), make_findings(), "table")
    assert table.select("batch", "row_count", "unreadable_frac").rows() == [("all", 0, None)]


def test_row_order_does_not_change_the_table():
    """Shuffled inputs give the same table, bit for bit."""
    samples = make_samples(["a.csv"] * 5 + ["b.csv"] * 5, list(range(10)))
    metrics, findings = samples.select("sample_id", a=1.0), make_findings((3, "x", "drift"))
    table = build(samples, metrics, findings, "table")
    mixed = [frame.sample(fraction=1, shuffle=True, seed=3) for frame in (samples, metrics)]
    assert build(*mixed, findings, "table").equals(table)
