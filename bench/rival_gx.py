"""The 34 rules of `bench.mixed_contract` in Great Expectations: COMPLETE, with the rows named.

Run it as `python -m bench.rival_gx TABLE`; it prints the failures of each rule as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench.mixed_words import CITIES, COUNTRIES, STATUSES
from checks.suites.suite_file import import_gx

RANGES = {
    "age": (0, 120), "quantity": (1, 100), "clicks": (0, 100_000), "year": (1990, 2030),
    "price": (0.01, 1e5), "latitude": (-90, 90), "longitude": (-180, 180),
    "temperature": (-60, 60), "balance": (-1e6, 1e6),
}  # fmt: skip
FILLED = ("id", "quantity", "clicks", "created_at", "is_active", "user_code", "status")
GAPS = {"age": 0.03, "price": 0.02, "temperature": 0.06, "email": 0.02, "comment": 0.5}
SETS = {"country": COUNTRIES, "status": STATUSES, "city": CITIES}
PATTERNS = {
    "user_code": r"^U-\d{10}$", "email": r"^[a-z0-9]+@[a-z.]+\.(?:org|com|example)$",
    "phone": r"^\+\d{1,3} \d{1,2} \d{6,8}$", "postcode": r"^\d{5}$", "comment": r"^\S",
}  # fmt: skip
LENGTHS = {"user_code": (12, 12), "city": (3, 20)}
UNIQUE = ("id", "user_code")


def list_expectations() -> Iterator[dict[str, Any]]:
    """Yield the rules as Great Expectations stores them, each with our name of it."""
    for name, (low, high) in RANGES.items():
        yield expect("values_to_be_between", name, "in_range", min_value=low, max_value=high)
    for name in FILLED:
        yield expect("values_to_not_be_null", name, "not_null")
    for name, share in GAPS.items():
        yield expect("values_to_not_be_null", name, "not_null", mostly=1 - share)
    for name, values in SETS.items():
        yield expect("values_to_be_in_set", name, "isin", value_set=list(values))
    for name, pattern in PATTERNS.items():
        yield expect("values_to_match_regex", name, "str_matches", regex=pattern)
    for name, (low, high) in LENGTHS.items():
        yield expect("value_lengths_to_be_between", name, "str_length", min_value=low,
                     max_value=high)  # fmt: skip
    for name in UNIQUE:
        yield expect("values_to_be_unique", name, "unique")
    yield expect("values_to_not_be_null", "postcode", "implies", row_condition={
        "column": {"name": "country"}, "type": "comparison", "operator": "==", "parameter": "DE",
    })  # fmt: skip


def expect(kind: str, column: str, ours: str, **kwargs: Any) -> dict[str, Any]:
    """Return one expectation."""
    told = {"column": column, **kwargs}
    meta = {"ours": f"contract:{ours} {column}"}
    return {"type": f"expect_column_{kind}", "kwargs": told, "meta": meta, "severity": "critical"}


def main() -> None:
    """Validate the table and print how many rows break each rule."""
    gx = import_gx()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    frame = pd.read_parquet(sys.argv[1])
    frame["row"] = range(len(frame))
    asset = context.data_sources.add_pandas("table").add_dataframe_asset("table")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite(name="mixed", expectations=list(list_expectations()))
    complete = {"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]}
    results = batch.validate(suite, result_format=complete).results
    failures = {
        one.expectation_config.meta["ours"]: len(one.result.get("unexpected_index_list") or ())
        for one in results
    }
    print(json.dumps({"failures": failures}))


if __name__ == "__main__":
    main()
