"""A seeded table of 25 mixed columns, written part by part: what the benchmarks of tables measure.

13 numeric, 2 bool, a datetime, a date and 8 text columns, with nulls, NaN, infinity, empty and
blank text, placeholder words, typos, values out of range and repeated keys at known rates. A part
depends on its seed and number alone, so a shorter table is the head of a longer one and any number
of rows fits in memory. Run it as `python -m bench.mixed_table PATH ROWS`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.mixed_words import CITIES, COUNTRIES, STATUSES, WORDS

PART_ROWS = 125_000
EPOCH, DAY_S = np.datetime64("2020-01-01T00:00:00", "us"), 86_400


def write_table(path: Path, rows: int, seed: int, part_rows: int = PART_ROWS) -> None:
    """Write `rows` rows of the table to `path` as Parquet (zstd), a row group for each part.

    Args:
        path: the file; its folder must be there.
        rows: rows to write, any number; memory holds one part.
        seed: equal seeds give equal tables, whatever came before.
        part_rows: rows of a part; another number gives another table.
    """
    writer: pq.ParquetWriter | None = None
    for part in range(max(1, -(-rows // part_rows))):
        frame = make_part(seed, part, part_rows).head(rows - part * part_rows)
        table = frame.to_arrow()
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=part_rows)
    if writer is not None:
        writer.close()


def make_part(seed: int, part: int, rows: int = PART_ROWS) -> pl.DataFrame:
    """Return part number `part` of the table with `seed`: 25 columns, `rows` rows.

    >>> make_part(0, 3, 10).equals(make_part(0, 3, 10)), make_part(0, 0, 10).width
    (True, 25)
    """
    rng = np.random.default_rng([seed, part])
    number = np.arange(rows, dtype=np.int64) + part * rows
    key = np.where(_draw(rng, rows, 1e-4), np.maximum(number - 1, part * rows), number)
    return pl.DataFrame(
        [*_whole_numbers(rng, key), *_fractions(rng, rows), *_times(rng, rows), *_codes(rng, key),
         *_words(rng, rows)]
    )  # fmt: skip


def _whole_numbers(rng: np.random.Generator, key: NDArray[np.int64]) -> list[pl.Series]:
    rows = len(key)
    age = rng.integers(18, 96, rows)
    return [
        pl.Series("id", key + 1),
        _gapped(rng, pl.Series("age", _plant(rng, age, 0.002, [-1, 999])), 0.02),
        pl.Series("quantity", _plant(rng, rng.poisson(2, rows) + 1, 5e-4, [0]).astype(np.int32)),
        pl.Series("clicks", np.where(_draw(rng, rows, 0.6), 0, rng.geometric(0.05, rows))),
        _gapped(rng, pl.Series("year", rng.integers(1990, 2026, rows).astype(np.int16)), 0.001),
        pl.Series("is_active", _draw(rng, rows, 0.7)),
        _gapped(rng, pl.Series("is_member", _draw(rng, rows, 0.3)), 0.03),
    ]


def _fractions(rng: np.random.Generator, rows: int) -> list[pl.Series]:
    inf, nan = np.inf, np.nan
    price = np.round(rng.lognormal(3, 1, rows), 2)
    weight = _plant(rng, rng.gamma(2, 3, rows), 1e-4, [inf, -inf])
    temperature = _plant(rng, rng.normal(12, 8, rows), 2e-4, [-999.0, 1e300])
    return [
        _gapped(rng, pl.Series("price", _plant(rng, price, 5e-4, [-1.0, 0.0])), 0.01),
        pl.Series("discount", _plant(rng, np.round(rng.beta(1, 6, rows), 3), 0.01, [nan])),
        _gapped(rng, pl.Series("weight", _plant(rng, weight, 0.005, [nan])), 0.002),
        pl.Series("latitude", _plant(rng, rng.uniform(35, 70, rows), 2e-4, [0.0, 95.5])),
        pl.Series("longitude", _plant(rng, rng.uniform(-10, 30, rows), 2e-4, [0.0, 200.0])),
        pl.Series("score", rng.normal(0, 1, rows).astype(np.float32)),
        _gapped(rng, pl.Series("temperature", temperature), 0.05),
        pl.Series("balance", np.round(rng.standard_t(3, rows) * 1e4, 2)),
    ]


def _times(rng: np.random.Generator, rows: int) -> list[pl.Series]:
    seconds = rng.integers(0, 5 * 365 * DAY_S, rows).astype("timedelta64[s]")
    days = rng.integers(-20_000, 0, rows).astype("timedelta64[D]")
    return [
        pl.Series("created_at", EPOCH + seconds),
        _gapped(rng, pl.Series("born_on", EPOCH.astype("datetime64[D]") + days), 0.03),
    ]


def _codes(rng: np.random.Generator, key: NDArray[np.int64]) -> list[pl.Series]:
    """Text that is different in almost every row, put together from numbers."""
    rows = len(key)
    mixed = (key * 7_919 + 104_729) % 10**10  # one to one: 7919 has no factor in common with it
    digits = pl.Series(mixed).cast(pl.String).str.zfill(10)
    user = pl.Series(rng.integers(0, 2_000_000, rows)).cast(pl.String)
    post = pl.Series(rng.integers(1_000, 99_999, rows)).cast(pl.String).str.zfill(5)
    local = pl.Series(rng.integers(1_000_000, 9_999_999, rows)).cast(pl.String)
    at = _pick(rng, rows, ("@example.org", "@mail.example.com", "@shop.example"), 0.001, " at ")
    call = _pick(rng, rows, ("+49 30 ", "+33 1 ", "+39 06 "), 0.005, "0049-")
    return [
        ("U-" + digits).alias("user_code"),
        _gapped(rng, ("user" + user + at).alias("email"), 0.01),
        _gapped(rng, (call + local).alias("phone"), 0.08),
        _gapped(rng, _swap(rng, post, 0.002, ["", "N/A", "0"]).alias("postcode"), 0.005),
    ]


def _words(rng: np.random.Generator, rows: int) -> list[pl.Series]:
    """Text of few values, with typos, blanks and placeholder words."""
    often = rng.zipf(1.4, rows) % 12  # a few cities have most rows
    city = pl.Series(CITIES).gather(rng.integers(0, 24, rows) * 12 + often)
    said = [pl.Series(WORDS).gather(rng.integers(0, len(WORDS), rows)) for _ in range(3)]
    comment = said[0] + " " + said[1] + " " + said[2]
    return [
        _gapped(rng, _pick(rng, rows, COUNTRIES, 0.001, "D E").alias("country"), 0.002),
        _pick(rng, rows, STATUSES, 5e-4, "shiped").alias("status"),
        _gapped(rng, _swap(rng, city, 0.001, ["berlni", " Berlin", "-"]).alias("city"), 0.01),
        _gapped(rng, _swap(rng, comment, 0.1, ["", "  ", "n/a", "?"]).alias("comment"), 0.4),
    ]


def _draw(rng: np.random.Generator, rows: int, share: float) -> NDArray[np.bool_]:
    return rng.random(rows) < share


def _plant(
    rng: np.random.Generator, values: NDArray[np.generic], share: float, odd: list[float]
) -> NDArray[np.generic]:
    """Put one of `odd` in place of a `share` (0..1) of the values."""
    hit = _draw(rng, len(values), share)
    return np.where(hit, rng.choice(np.array(odd, values.dtype), len(values)), values)


def _swap(rng: np.random.Generator, texts: pl.Series, share: float, odd: list[str]) -> pl.Series:
    hit = pl.Series(_draw(rng, len(texts), share))
    return pl.Series(odd).gather(rng.integers(0, len(odd), len(texts))).zip_with(hit, texts)


def _pick(
    rng: np.random.Generator, rows: int, values: tuple[str, ...], share: float, typo: str
) -> pl.Series:
    return _swap(rng, pl.Series(values).gather(rng.integers(0, len(values), rows)), share, [typo])


def _gapped(rng: np.random.Generator, values: pl.Series, share: float) -> pl.Series:
    """Null in a `share` (0..1) of the rows."""
    return values.set(pl.Series(_draw(rng, len(values), share)), None)


if __name__ == "__main__":
    write_table(Path(sys.argv[1]), int(sys.argv[2]), seed=int((sys.argv[3:] or ["0"])[0]))
