"""Seconds of both demos, each one process from nothing, Prefect's server included."""

from __future__ import annotations

from bench.demo_runs import time_demo
from bench.record import Figure, record, show

LIMIT_S = 600.0  # both together, on 2 cores


def main() -> None:
    """Time the demos once each; wall time on a shared machine is a record, no ratio."""
    figures = {}
    timings = {name: time_demo(name) for name in ("digits", "flights")}
    for name, timing in timings.items():
        figures[f"{name} wall"] = Figure(timing.wall_s, None, "lower", 1, unit="s")
        figures[f"{name} CPU"] = Figure(timing.cpu_s, None, "lower", 1, unit="s")
    total = sum(timing.wall_s for timing in timings.values())
    figures["both demos wall"] = Figure(total, LIMIT_S, "lower", 1, unit="s")
    show(record("demos", figures))


if __name__ == "__main__":
    main()
