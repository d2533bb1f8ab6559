"""Samples and findings by the id, for what the report makes of them."""

from __future__ import annotations

from typing import Any

import polars as pl

IDS = [f"{i:032x}-0" for i in range(400)]


def make_samples(label: list[str], **other: Any) -> pl.DataFrame:
    """Return tables.Samples of as many samples as there are labels."""
    count = len(label)
    told = {"split": ["train"] * count, "byte_size": [9] * count,
            "xxh3_128": [one[:32] for one in IDS[:count]]} | other  # fmt: skip
    return pl.DataFrame({
        "sample_id": IDS[:count], "label": label, "uri": [f"{i:04d}.jpg" for i in range(count)],
        "row": [0] * count, **told,
    })  # fmt: skip


def make_findings(check_id: str, ids: list[str], **told: Any) -> pl.DataFrame:
    """Return tables.Findings of one check."""
    base = {"sample_id": ids, "check_id": [check_id] * len(ids), "dimension": "low_quality",
            "severity": "warning", "value": 1.0, "threshold": None, "evidence": "",
            "suggestion": None, "column": None}  # fmt: skip
    return pl.DataFrame(base | told, schema_overrides={
        "value": pl.Float64, "threshold": pl.Float64, "suggestion": pl.String, "column": pl.String,
    })  # fmt: skip


def make_decisions(samples: pl.DataFrame, **acts: tuple[str, str, str]) -> pl.DataFrame:
    """Return tables.Decisions: all is kept by the policy but what `acts` says.

    acts: by position `at3`: action, outcome, decided_by.
    """
    rows = [acts.get(f"at{i}", ("keep", "kept", "policy")) for i in range(samples.height)]
    return pl.DataFrame({
        "sample_id": samples["sample_id"], "action": [row[0] for row in rows],
        "outcome": [row[1] for row in rows], "decided_by": [row[2] for row in rows],
        "weight": [1.0] * len(rows), "new_label": [None] * len(rows),
        "check_ids": [["some_check"] if row[0] != "keep" else [] for row in rows],
    }, schema_overrides={"new_label": pl.String, "check_ids": pl.List(pl.String)})  # fmt: skip
