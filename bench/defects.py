"""Recall and precision of the check meant for each kind of planted defect, in both demos."""

from __future__ import annotations

from bench.demo_runs import result_of
from bench.record import Figure, record, show

# The least that a check must reach. Two kinds cannot be found as well, for reasons in the README:
# damage that a JPEG of a few hundred bytes decodes through, and labels that no feature predicts.
TARGETS = {"recall": 0.9, "precision": 0.8}


def main() -> None:
    """Read both reports; recall and precision come with Wilson intervals."""
    figures = {}
    for demo in ("digits", "flights"):
        for row in result_of(demo, "report.json")["defects"]:
            for name, count in (("recall", "planted"), ("precision", "flagged")):
                if row[name] is None:
                    continue  # nothing flagged: there is no precision
                interval = (row[f"{name}_low"], row[f"{name}_high"])
                label = f"{demo}: {row['defect']} by {row['check_id']}, {name}"
                figures[label] = Figure(row[name], TARGETS[name], "higher", row[count], interval)
    show(record("defects", figures))


if __name__ == "__main__":
    main()
