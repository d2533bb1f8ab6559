"""Runs every benchmark, one after the other: `make bench`."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = (
    "demos", "defects", "verdicts", "images", "incremental", "workers", "damage", "blur", "copies",
    "twins", "hashes", "drift", "tables", "contracts", "suggest", "cells", "leaks",
    "label_ranking", "label_amount", "label_tables", "label_dynamics", "label_values",
    "shards", "loader", "shard_flips", "shard_digests",
    "cpu_step", "small_net", "batched_heads", "table_nets", "yardstick",
    "experiment_speed", "levers", "audit", "audit_statistics", "resplits",
)  # fmt: skip
ONCE = ("huge", "label_cleaning", "shard_scale")  # recorded once: up to an hour each, and 40 GB


def main() -> None:
    """Run each benchmark in a process of its own, so that none inherits another's caches."""
    for name in BENCHMARKS:
        subprocess.run([sys.executable, "-m", f"bench.{name}", *sys.argv[1:]], check=True)


if __name__ == "__main__":
    main()
