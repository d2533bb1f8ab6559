"""What cleaning took is kept with the run, and reaches the experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.app.costs import BUNDLES, COSTS, cleaning_cpu_s, counted, counting, keep_cost
from flows.app.store import RunFolder


def _work(skipped: bool) -> Any:
    def station(_config: Any, _run: RunFolder, _progress: Any) -> dict[str, Any]:
        sum(number * number for number in range(0 if skipped else 300_000))
        return {"station": "check", "skipped": skipped}

    return counted("check", station)


def test_a_station_that_works_leaves_its_cost_and_one_that_skips_leaves_the_old(
    tmp_path: Path,
) -> None:
    """Work is counted in CPU seconds; skipping keeps what the work before it had cost."""
    run = RunFolder(tmp_path)
    assert _work(skipped=False)(None, run, None)["station"] == "check"
    first = run.read_json(COSTS)
    assert float(str(first["check"])) > 0
    _work(skipped=True)(None, run, None)
    assert run.read_json(COSTS) == first


def test_the_price_is_the_sum_of_three_stations_and_of_bundles(tmp_path: Path) -> None:
    """Until all three stations are counted there is no price; bundles of images add to it."""
    run = RunFolder(tmp_path)
    assert cleaning_cpu_s(run) is None
    for name in ("profile", "check"):
        keep_cost(run, name, 1.5)
    assert cleaning_cpu_s(run) is None
    keep_cost(run, "clean", 0.5)
    assert cleaning_cpu_s(run) == pytest.approx(3.5)
    with counting(run, BUNDLES):
        sum(number * number for number in range(300_000))
    price = cleaning_cpu_s(run)
    assert price is not None
    assert price > 3.5
