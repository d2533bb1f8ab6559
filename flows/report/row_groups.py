"""Duplicate rows of a table set side by side: the columns in which they differ first."""

from __future__ import annotations

from typing import Any

DIFFERING_MAX, EQUAL_MAX = 8, 4


def compare_rows(group: dict[str, Any]) -> None:
    """Turn the `cells` of a group's members into its `columns`, in place.

    columns: [{name, cells [text or None of each member], differs}], at most eight that differ and
    four that do not. equal: columns that are the same in all members and not among them.

    >>> group = {"members": [{"cells": [["a", "1"], ["b", "x"]]},
    ...                      {"cells": [["a", "2"], ["b", "x"]]}]}
    >>> compare_rows(group)
    >>> [(one["name"], one["differs"]) for one in group["columns"]], group["equal"]
    ([('a', True), ('b', False)], 0)
    """
    read = [member.pop("cells", []) for member in group["members"]]
    columns = [
        {"name": cells[0][0], "cells": [text for _, text in cells],
         "differs": len({text for _, text in cells}) > 1}
        for cells in zip(*read, strict=False)
    ]  # fmt: skip
    differing = [column for column in columns if column["differs"]]
    equal = [column for column in columns if not column["differs"]]
    group["columns"] = [*differing[:DIFFERING_MAX], *equal[:EQUAL_MAX]]
    group["equal"] = len(equal[EQUAL_MAX:])
