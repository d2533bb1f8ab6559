"""What cleaning took is kept with the run, and reaches the experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flows.app.costs import (
    BUNDLES,
    CLEANING,
    COSTS,
    Parts,
    add_part,
    cleaning_cpu_s,
    counted,
    counting,
    keep_cost,
)
from flows.app.launch import run_line
from flows.app.learning import plan_experiment
from flows.app.store import RunFolder, open_run
from tests.flows.made_tables import make_table, table_config

NAMES = some.sampled_from("abc")


def _work(skipped: bool) -> Any:
    def station(_config: Any, _run: RunFolder, _progress: Any) -> dict[str, Any]:
        sum(number * number for number in range(0 if skipped else 300_000))
        return {"station": "check", "skipped": skipped}

    return counted("check", station)


def _hold(run: RunFolder, content: str) -> None:
    """Let the run be one of a table with this content."""
    run.write_json("profile.json", {"content": content})


def test_a_station_that_works_leaves_its_cost_and_one_that_skips_leaves_the_old(
    tmp_path: Path,
) -> None:
    """Work is counted in CPU seconds; skipping keeps what the work before it had cost."""
    run = RunFolder(tmp_path)
    assert _work(skipped=False)(None, run, None)["station"] == "check"
    first: Any = run.read_json(COSTS)
    assert first["check"][0][1] > 0
    _work(skipped=True)(None, run, None)
    assert run.read_json(COSTS) == first


def test_the_price_is_the_sum_of_three_stations_and_of_bundles(tmp_path: Path) -> None:
    """Until all three stations are counted there is no price; bundles count with the profile."""
    run = RunFolder(tmp_path)
    assert cleaning_cpu_s(run) == ()
    with counting(run, BUNDLES):
        sum(number * number for number in range(300_000))
    for name in ("profile", "check"):
        keep_cost(run, name, 1.5)
    assert cleaning_cpu_s(run) == ()
    keep_cost(run, "clean", 0.5)
    (price,) = cleaning_cpu_s(run)
    assert price > 3.5
    keep_cost(run, "check", 1.0)
    assert cleaning_cpu_s(run)[0] == pytest.approx(price - 0.5)


def test_a_set_that_grew_has_cost_all_of_its_parts(tmp_path: Path) -> None:
    """Each state of the data adds a part, the last is told apart, and a second look costs none."""
    run = RunFolder(tmp_path)
    for content, cpu_s in (("first", 10.0), ("grown", 1.0), ("grown more", 2.0)):
        _hold(run, content)
        for name in CLEANING:
            keep_cost(run, name, cpu_s)
    assert cleaning_cpu_s(run) == (30.0, 3.0, 6.0)
    keep_cost(run, "check", 2.5)  # other settings, the same data
    assert cleaning_cpu_s(run) == (30.0, 3.0, 6.5)
    keep_cost(run, "profile", 0.01)  # read from the cache
    assert cleaning_cpu_s(run) == (30.0, 3.0, 6.5)
    _hold(run, "grown")
    for name in CLEANING:
        keep_cost(run, name, 1.5)
    assert cleaning_cpu_s(run) == (30.0, 4.5)


def test_a_table_that_grows_keeps_the_price_of_its_first_rows(tmp_path: Path) -> None:
    """After a second delivery the run's cleaned set has cost both; running again adds nothing."""
    frame, sections = make_table(5, wrong=0), {"gate": {"off": ["rows_min"]}}
    prices = []
    for rows in (600, frame.height, frame.height):
        config = table_config(tmp_path, frame[:rows], **sections)
        run = open_run(config, tmp_path / "run")
        run_line(config, run, until="clean", train=False)
        prices.append(cleaning_cpu_s(run))
    first, grown, again = prices
    assert len(first) == 1
    assert grown[:1] == first
    assert len(grown) == 2
    assert grown[1] > 0
    assert again == grown
    assert plan_experiment(config, run).cleaning_cpu_s == grown


@given(some.lists(some.tuples(NAMES, some.floats(0, 100).map(round)), max_size=12))
def test_the_parts_are_those_of_the_way_to_the_present(steps: list[tuple[str, float]]) -> None:
    """Whatever the data went through, the last part is the present and no state stands twice."""
    parts: Parts = []
    for mark, cpu_s in steps:
        parts = add_part(parts, mark, cpu_s)
        assert parts[-1] == (mark, cpu_s)
        assert len({one for one, _ in parts}) == len(parts)
