"""What a run leaves as it goes: the points of its curve, its clock and its checkpoints."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from training.checkpoint import Checkpoint
from training.dynamics import Watch

Point = tuple[int, float, float, float, float]


class Learns(Protocol):
    """What can be kept and taken up again: one network, or many heads at once."""

    def tensors(self) -> dict[str, Tensor]:
        """Return all that training changes, to be saved or written over."""

    def go_on(self, step: int) -> None:
        """Count the steps that the written tensors have taken."""


class Clock:
    """Process and wall seconds since it was made, on top of those that were spent before."""

    def __init__(self, spent: tuple[float, float] = (0.0, 0.0)) -> None:
        self.cpu, self.wall = time.process_time() - spent[0], time.perf_counter() - spent[1]

    def read(self, share: float = 1.0) -> tuple[float, float]:
        """Return (cpu_s, wall_s) since the start, times share."""
        return (time.process_time() - self.cpu) * share, (time.perf_counter() - self.wall) * share

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what is spent within: what is measured of a run is no part of its cost."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.cpu += time.process_time() - cpu
        self.wall += time.perf_counter() - wall


class Trail:
    """The curve of one run, (step, cpu_s, wall_s, accuracy, nll) a point, kept through a kill.

    Its clock starts here, so whoever makes it has compiled and warmed up before. It counts the
    steps alone: readings of the curve, dynamics and checkpoints are paused over, as only some arms
    have them or a user's own training has fewer.

    Of M runs that are trained together: M points a reading, so that `curve[m::M]` is one's own.

    learner: None where it is not there yet; `begin` names it. saved: where the run keeps itself;
    None: nowhere. watch: its dynamics, if it has some. step: where the run goes on, 0 at its start.
    """

    def __init__(
        self, learner: Learns | None, saved: Checkpoint | None, watch: Watch | None
    ) -> None:
        self.learner, self.saved, self.watch = learner, saved, watch
        self.curve: list[Point] = []
        self.step, self.clock = 0, Clock()
        if learner is not None:
            self.begin(learner)

    def begin(self, learner: Learns) -> None:
        """Take up what was kept of this learner, if anything was."""
        self.learner = learner
        told = None if self.saved is None else self.saved.load(self._tensors())
        if told is None:
            return
        self.step = int(told.pop("step"))
        learner.go_on(self.step)
        if self.watch is not None:
            self.watch.epoch = int(told.pop("epoch"))
        points = told.pop("curve").reshape(-1, 5).tolist()
        self.curve = [(int(step), *rest) for step, *rest in points]
        self.clock = Clock(tuple(told.pop("spent").tolist()))

    def _tensors(self) -> dict[str, Tensor]:
        assert self.learner is not None
        seen = {} if self.watch is None else self.watch.tensors()
        return self.learner.tensors() | seen

    def add(self, step: int, read: tuple[float, float], share: float = 1.0) -> None:
        """Add a point: accuracy and negative log likelihood after so many steps.

        share: of the time, where it was spent on several runs.
        """
        self.curve.append((step, *self.clock.read(share), *read))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Pause the clock for a reading, once the device has done the steps before it."""
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.synchronize()
        with self.clock.paused():
            yield

    def keep(self, step: int) -> None:
        """Save the run after so many steps, if that is due."""
        if self.saved is None or step == self.step or not self.saved.due(step):
            return
        numbers = {"step": step, "curve": np.array(self.curve), "spent": self.clock.read()}
        if self.watch is not None:
            numbers["epoch"] = self.watch.epoch
        with self.reading():
            self.saved.save(self._tensors(), numbers)
