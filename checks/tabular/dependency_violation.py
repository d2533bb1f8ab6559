"""Flag cells that contradict what their row's other cells fix everywhere else."""

from __future__ import annotations

from checks.core.check import CellExample, CellRule, cell_check
from checks.metrics.tabular_expected import any_of, blame, differs, expect, predict
from checks.metrics.tabular_profile import TableProfile

_TOWNS = {"zip": ["53111", "89073"] * 12, "town": ["Bonn", "Ulm"] * 11 + ["Ulm", "Ulm"]}
_FREE = {"zip": ["53111", "89073"] * 6, "town": ["Bonn", "Ulm", "Kiel"] * 4}


@cell_check(
    dimension="incorrect", severity="warning", action="repair", support_min=4, majority_min=0.8,
    examples=(
        CellExample(_TOWNS, frozenset({(22, "town"), (22, "zip")})),
        CellExample(_FREE, frozenset()),
    ),
)  # fmt: skip
def dependency_violation(
    profile: TableProfile, support_min: int, majority_min: float
) -> list[CellRule]:
    """Flag a cell that is not what at least `majority_min` of the rows with its key hold.

    The dependencies are mined (zip to town, aircraft to seats). The key needs `support_min` rows.
    With several dependencies on a column, the weight of those against the cell must be greater.
    A key with at least three dependents, half of them contradicting, is flagged in their place.
    Where two columns fix each other and nothing else decides, both are flagged, with no suggestion.

    Why: rows of one entity that disagree are wrong in one of them, and the others say which.
    Source: functional dependencies with errors as in TANE (Huhtala et al. 1999); gates ours.
    """
    blamed = blame(profile)
    rules = []
    for name, expectation in expect(profile).items():
        triggers = []
        for dependency in expectation.dependencies:
            predicted = predict(profile, dependency, support_min, majority_min)
            trigger = differs(profile, dependency, predicted)
            known = blamed.get(dependency.determinants)
            triggers.append(trigger if known is None else trigger & ~known)
        told = "; ".join(" and ".join(d.determinants) for d in expectation.dependencies)
        rules.append(
            CellRule(name, any_of(triggers) & expectation.outvoted,
                     f"{told} fix another value", threshold=majority_min,
                     suggestion=expectation.value)
        )  # fmt: skip
    single = {names[0]: flagged for names, flagged in blamed.items() if len(names) == 1}
    for name, flagged in single.items():
        rules.append(CellRule(name, flagged, "most of what it fixes elsewhere is different here"))
    return rules
