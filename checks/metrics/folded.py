"""Results of parts that are folded one after the other; what was folded before is read back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from checks.core.errors import TableError

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Fold(Generic[Result]):
    """How the results of one kind are made, joined and stored.

    name: of the stored files. measure: the result of part number i. join: two results, left to
    right. write, read: a result as one file; `read` raises TableError where it cannot.
    """

    name: str
    measure: Callable[[int], Result]
    join: Callable[[Result, Result], Result]
    write: Callable[[Result, Path], None]
    read: Callable[[Path], Result]

    def run(self, marks: Sequence[str], folder: Path | None) -> Result:
        """Return the results of all parts, joined in their order.

        Args:
            marks: one for each part; equal marks stand for equal content. At least one.
            folder: where results lie, None to keep none. A grown list costs its new parts, any
                other change the parts that are new and the joining from the first change on.
        """
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        known, result = self._recall(marks, folder)
        for i in range(known, len(marks)):
            part = self._measure(i, marks[i], folder)
            result = part if result is None else self.join(result, part)
        assert result is not None
        if folder is not None and known < len(marks) > 1:
            whole = self._whole(folder, marks)
            self.write(result, whole)
            for old in folder.glob(f"{self.name}-whole-*"):
                if old != whole:
                    old.unlink(missing_ok=True)
        return result

    def _recall(self, marks: Sequence[str], folder: Path | None) -> tuple[int, Result | None]:
        """The result of the longest beginning of `marks` that is stored, and its length."""
        if folder is None:
            return 0, None
        for count in range(len(marks), 1, -1):
            path = self._whole(folder, marks[:count])
            if path.is_file():
                try:
                    return count, self.read(path)
                except (OSError, TableError):
                    continue
        return 0, None

    def _measure(self, place: int, mark: str, folder: Path | None) -> Result:
        path = None if folder is None else folder / f"{self.name}-{mark}"
        if path is not None and path.is_file():
            try:
                return self.read(path)
            except (OSError, TableError):
                pass  # damaged: measured anew
        result = self.measure(place)
        if path is not None:
            self.write(result, path)
        return result

    def _whole(self, folder: Path, marks: Sequence[str]) -> Path:
        digest = hashlib.sha256("\n".join(marks).encode()).hexdigest()
        return folder / f"{self.name}-whole-{digest[:32]}"
