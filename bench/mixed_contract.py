"""A contract of 34 rules for the table of `bench.mixed_table`."""

from __future__ import annotations

from typing import Any

import pandera.polars as pa
import polars as pl

from bench.mixed_words import CITIES, COUNTRIES, STATUSES


def missing(tolerance: float) -> dict[str, Any]:
    """Return the metadata of a column that may be null in a share of the rows."""
    return {"gristmill": {"not_null": {"tolerance": tolerance}}}


class Mixed(pa.DataFrameModel):
    """9 ranges, 7 not-null, 5 shares of nulls, 3 sets, 5 patterns, 2 lengths, 2 unique, 1 if."""

    id: int = pa.Field(unique=True)
    age: int = pa.Field(in_range={"min_value": 0, "max_value": 120}, metadata=missing(0.03))
    quantity: pl.Int32 = pa.Field(in_range={"min_value": 1, "max_value": 100})
    clicks: int = pa.Field(in_range={"min_value": 0, "max_value": 100_000})
    year: pl.Int16 = pa.Field(in_range={"min_value": 1990, "max_value": 2030}, nullable=True)
    price: float = pa.Field(in_range={"min_value": 0.01, "max_value": 1e5}, metadata=missing(0.02))
    latitude: float = pa.Field(in_range={"min_value": -90.0, "max_value": 90.0}, nullable=True)
    longitude: float = pa.Field(in_range={"min_value": -180.0, "max_value": 180.0}, nullable=True)
    temperature: float = pa.Field(
        in_range={"min_value": -60.0, "max_value": 60.0}, metadata=missing(0.06)
    )
    balance: float = pa.Field(in_range={"min_value": -1e6, "max_value": 1e6}, nullable=True)
    created_at: pl.Datetime
    is_active: bool
    user_code: str = pa.Field(
        unique=True, str_matches=r"^U-\d{10}$", str_length={"exact_value": 12}
    )
    email: str = pa.Field(
        str_matches=r"^[a-z0-9]+@[a-z.]+\.(?:org|com|example)$", metadata=missing(0.02)
    )
    phone: str = pa.Field(str_matches=r"^\+\d{1,3} \d{1,2} \d{6,8}$", nullable=True)
    postcode: str = pa.Field(str_matches=r"^\d{5}$", nullable=True)
    country: str = pa.Field(isin=COUNTRIES, nullable=True)
    status: str = pa.Field(isin=STATUSES)
    city: str = pa.Field(isin=CITIES, str_length={"min_value": 3, "max_value": 20}, nullable=True)
    comment: str = pa.Field(str_matches=r"^\S", metadata=missing(0.5))

    class Config:
        """The conditional rule."""

        metadata = {  # noqa: RUF012 - pandera reads a plain dict
            "gristmill": {
                "implies": [
                    {
                        "if": {"column": "country", "eq": "DE"},
                        "then": {"column": "postcode", "not_null": True},
                    }
                ]
            }
        }
