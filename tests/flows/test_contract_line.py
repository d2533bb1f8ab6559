"""A contract in the line: its findings, counts and gate, and what makes a run judge again."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from flows.app.config import load_config
from flows.app.intake import open_data
from flows.app.judging import check_digests, judge, run_gate
from flows.app.stations import profile
from flows.app.store import open_run
from flows.app.table_intake import need_rows

CONTRACT = """
columns:
  age: {dtype: Int64, in_range: {min_value: 18, max_value: 80},
        metadata: {gristmill: {in_range: {tolerance: 0.01}}}}
  city: {dtype: String}
  grade: {dtype: String}
metadata: {gristmill: {foreign_keys: [{column: city, table: cities.csv, key: name}]}}
"""
CONFIG = """
version = 1
[source]
path = "people.csv"
label = "grade"
[contract]
path = "people.yaml"
[gate.columns."contract:foreign_key__rate"]
max = 0.0
[gate.columns."contract:in_range__rate"]
max = 0.0
"""


def test_a_contract_in_the_line(tmp_path: Path) -> None:
    """Counts of every rule are stored, the gate can bound any, and another table is an input."""
    age = [18 + i % 60 for i in range(298)] + [99, 100]
    city = ["Arles", "Bergen", "Cadiz"] * 99 + ["Arles", "Oslo", "Oslo"]
    grade = ["senior", "junior"] * 150
    pl.DataFrame({"age": age, "city": city, "grade": grade}).write_csv(tmp_path / "people.csv")
    (tmp_path / "people.yaml").write_text(CONTRACT)
    (tmp_path / "cities.csv").write_text("name\nArles\nBergen\nCadiz\n")
    (tmp_path / "run.toml").write_text(CONFIG)
    config = load_config(tmp_path / "run.toml")
    run = open_run(config, tmp_path / "run")
    profile(config, run)
    need_rows(config, run, open_data(config))
    source = open_data(config)
    found, _, facts = judge(config, run, source, {})
    run.write_json("checks.json", {"facts": facts})
    gate = run_gate(config, run, source, found)

    assert facts["contract:in_range"]["rules"]["age"]["failures"] == 2
    assert facts["contract:in_range"]["rules"]["age"]["passed"] is True
    broken = found.filter(pl.col("check_id").str.starts_with("contract:"))["check_id"]
    assert broken.to_list() == ["contract:foreign_key"] * 2
    assert len(gate["failures"]) == 1
    assert "contract:foreign_key__rate must be at most 0, but is" in gate["failures"][0]

    before = check_digests(config, "table")
    (tmp_path / "cities.csv").write_text("name\nArles\nBergen\nCadiz\nOslo\n")
    assert check_digests(config, "table") != before
