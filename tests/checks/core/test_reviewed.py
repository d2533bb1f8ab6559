"""What verdicts say of the flags and of what nobody flagged."""

from __future__ import annotations

import polars as pl
import pytest

from checks.core.reviewed import measure_reviews
from checks.core.slice_rates import exact_interval

IDS = [f"s{at:03}" for at in range(200)]
SCORES = pl.DataFrame({"sample_id": IDS, "label_suspicion": [0.5] * 190 + [None] * 10})


def make_verdicts(rows: range, verdict: str, chance: float = 1.0) -> pl.DataFrame:
    """The same verdict of several samples."""
    ids = pl.Series([IDS[row] for row in rows], dtype=pl.String)
    return pl.DataFrame({"sample_id": ids}).with_columns(
        verdict=pl.lit(verdict), drawn_prob=pl.lit(chance)
    )


def test_equal_chances_give_the_plain_exact_interval() -> None:
    """Where all were asked alike, share and interval are those of the counts."""
    verdicts = pl.concat([
        make_verdicts(range(12), "wrong", 0.5), make_verdicts(range(12, 15), "right", 0.5),
    ])  # fmt: skip
    told = measure_reviews(SCORES, SCORES.head(30), verdicts).flagged
    assert told.share == pytest.approx(12 / 15)
    assert (told.low, told.high) == exact_interval(12, 15)
    assert (told.reviewed, told.effective) == (15, 15.0)


def test_unequal_chances_widen_the_interval() -> None:
    """A rarely drawn verdict stands for many: fewer effective draws than verdicts."""
    verdicts = pl.concat(
        [make_verdicts(range(10), "wrong"), make_verdicts(range(10, 12), "right", 0.1)]
    )
    told = measure_reviews(SCORES, SCORES.head(30), verdicts).flagged
    assert told.share == pytest.approx(10 / 30, abs=1e-6)
    assert told.effective < told.reviewed == 12
    assert told.high - told.low > exact_interval(4, 12)[1] - exact_interval(4, 12)[0]


def test_what_tells_nothing_is_left_out() -> None:
    """Unsure verdicts, samples that could not be ranked and ids of other sets do not count."""
    strange = make_verdicts(range(1), "wrong").with_columns(sample_id=pl.lit("elsewhere"))
    verdicts = pl.concat([
        make_verdicts(range(5), "unsure"), make_verdicts(range(190, 200), "wrong"), strange,
    ])  # fmt: skip
    told = measure_reviews(SCORES, SCORES.head(30), verdicts)
    assert (told.flagged.share, told.unflagged.share, told.wrong_labels) == (None, None, None)
    assert (told.flagged.low, told.flagged.high) == (0.0, 1.0)


def test_without_flags_the_others_tell_the_whole() -> None:
    """No flag needs no precision: the count follows from the random draw."""
    verdicts = pl.concat(
        [make_verdicts(range(2), "wrong", 0.1), make_verdicts(range(2, 20), "right", 0.1)]
    )
    assert measure_reviews(SCORES, SCORES.head(0), verdicts).wrong_labels == pytest.approx(19)
