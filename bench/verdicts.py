"""What the cleaning did to training: both demos, and real data where it is on the machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.demo_runs import result_of
from bench.real_data import REAL, find_shared_data
from bench.record import Figure, record, show

DEMOS = ("digits", "flights")


def main() -> None:
    """Record test accuracy, cleaned minus raw, with its interval, tier by tier."""
    figures = {}
    for name in _names():
        for tier, effect in _effects(result_of(name, "experiment.json")):
            interval = (100 * effect["low"], 100 * effect["high"])
            label = f"{name}: accuracy, cleaned - {effect['versus']}, tier {tier}"
            figures[label] = Figure(
                100 * effect["estimate"], None, "higher", effect["n"], interval, "points"
            )
    show(record("verdicts", figures))


def _names() -> tuple[str, ...]:
    try:
        find_shared_data()
    except FileNotFoundError:
        return DEMOS
    return (*DEMOS, *REAL)


def _effects(experiment: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for tier, told in experiment["tiers"].items():
        for effect in told["effects"]:
            if effect["arm"] == "cleaned" and effect["endpoint"] == "final_acc":
                yield tier, effect


if __name__ == "__main__":
    main()
