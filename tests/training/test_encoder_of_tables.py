from datetime import datetime

import numpy as np
import polars as pl
import pytest

from training.encoder import Encoder, fit_encoder, kind_of, one_hot
from training.errors import TrainingError

FRAME = pl.DataFrame(
    {
        "amount": ["1", " 2 ", "3", "n/a", "5", "6", "7", "8", "9", "1000000"],
        "when": [*(f"2024-01-0{day}" for day in range(1, 10)), None],
        "city": ["Bonn"] * 6 + ["Ulm"] * 3 + [""],
        "exact": [datetime(2024, 1, 1, h) for h in range(10)],  # noqa: DTZ001
        "flag": [True, False] * 5,
        "ratio": [0.5, float("nan"), float("inf"), None, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        "same": ["x"] * 10,
    }
)


def test_kinds_follow_type_or_most_of_the_texts() -> None:
    """Columns of which most texts parse are numbers or dates; the rest are categories."""
    kinds = {name: kind_of(FRAME[name]) for name in FRAME.columns if name != "same"}
    assert kinds == {
        "amount": "number", "when": "date", "city": "category", "exact": "date",
        "flag": "category", "ratio": "number",
    }  # fmt: skip


def test_numbers_are_finite_and_bounded_with_an_indicator() -> None:
    """Null, NaN, infinity and text in a number column become 0 and raise the indicator."""
    got = fit_encoder(FRAME.select("ratio", "amount"), min_count=1).encode(FRAME)
    assert np.isfinite(got.numbers).all()
    assert np.abs(got.numbers).max() <= 3
    assert got.numbers[:, 1].tolist() == [0, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert got.numbers[3, 3] == 1


def test_codes_keep_missing_unknown_and_rare_apart() -> None:
    """0 is missing; a level never seen falls into unknown, or into a bucket where there are any."""
    few = fit_encoder(FRAME.select("city"), min_count=2)
    fresh = pl.DataFrame({"city": ["Bonn", "Ulm", None, "Jena"]})
    assert few.encode(fresh).codes[:, 0].tolist() == [2, 3, 0, 1]
    rare = fit_encoder(FRAME.select("city"), min_count=4, buckets=5)
    codes = rare.encode(fresh).codes[:, 0]
    assert codes[0] == 2
    assert 3 <= codes[1] < 8
    assert codes.max() < rare.levels[0]


def test_state_survives_json_and_encodes_alike() -> None:
    """An encoder read back from its JSON gives the same tensors."""
    encoder = fit_encoder(FRAME, min_count=1)
    again = Encoder.from_json(encoder.to_json())
    assert again == encoder
    for mine, other in zip(encoder.encode(FRAME), again.encode(FRAME), strict=True):
        assert np.array_equal(mine, other)


def test_typed_and_text_columns_encode_alike() -> None:
    """A repaired column may change its type; the fitted encoder reads both."""
    text = pl.DataFrame({"x": ["1", "2", "3", "4"]})
    encoder = fit_encoder(text)
    typed = pl.DataFrame({"x": [1, 2, 3, 4]})
    assert np.array_equal(encoder.encode(text).numbers, encoder.encode(typed).numbers)


def test_constant_columns_are_left_out_and_absent_ones_refused() -> None:
    """A column that never varies carries nothing; a fitted column that is gone is an error."""
    encoder = fit_encoder(FRAME)
    assert "same" not in [plan.name for plan in encoder.columns]
    with pytest.raises(TrainingError, match="absent"):
        encoder.encode(FRAME.drop("city"))
    with pytest.raises(TrainingError, match="no column varies"):
        fit_encoder(FRAME.select("same"))


def test_one_hot_caps_the_columns() -> None:
    """A column of many levels shares its last indicator among the rarest."""
    frame = pl.DataFrame({"c": [f"v{i % 50}" for i in range(500)]})
    encoder = fit_encoder(frame, min_count=1)
    hot = one_hot(encoder.encode(frame), encoder.levels, most=8)
    assert hot.shape == (500, 8)
    assert (hot.sum(axis=1) == 1).all()


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("x", [[1, 2], [3], None] * 20),
        pl.Series("x", [{"a": 1}, {"a": 2}] * 30),
        pl.Series("x", [b"\xff", b"a"] * 30),
        pl.Series("x", [1, 2] * 30).cast(pl.Duration("us")),
        pl.Series("x", [1, 2] * 30).cast(pl.Time),
    ],
)
def test_unusual_parquet_types_are_encoded(column: pl.Series) -> None:
    """Lists, structs, bytes and durations of a Parquet file are read, and told apart."""
    got = fit_encoder(column.to_frame(), min_count=1).encode(column.to_frame())
    both = np.concatenate([got.numbers, got.codes], axis=1)
    assert not np.array_equal(both[0], both[1])


def test_enormous_numbers_stay_far_from_the_middle() -> None:
    """A value of 1e200 or of 1e308 is an extreme one, not overflow that lands on the median."""
    encoder = fit_encoder(pl.DataFrame({"x": [0.0, 1.0, 2.0, 3.0, -1e308, 1e308]}))
    got = encoder.encode(pl.DataFrame({"x": [1e200, -1e200, 1e308, 1.0]})).numbers[:, 0]
    assert got.tolist() == [3.0, -3.0, 3.0, 0.0]
