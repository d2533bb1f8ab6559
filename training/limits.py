"""What the fields of a recipe and of its network may be, told once.

The trainer refuses the rest, and so does [training.recipe] while it is read. No torch here: a
configuration is read without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_args

from training.errors import TrainingError

OptimiserName = Literal["sgd", "muon"]
Schedule = Literal["constant", "wsd"]
Layout = Literal["channels_last", "nchw"]
Precision = Literal["fp32", "bf16"]
Engine = Literal["eager", "compile", "graphs"]
NetName = Literal["small", "resnet18"]
Norm = Literal["batch", "group"]
Stride = Literal[1, 2]


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `least` to `most`; None is without end.

    above, below: the first, the last one is not in it. whole: no fractions.
    """

    least: float
    most: float | None = None
    above: bool = False
    below: bool = False
    whole: bool = False

    def holds(self, value: object) -> bool:
        """Say whether the value is such a number.

        >>> [Range(0, 1, below=True).holds(value) for value in (0, 0.5, 1, float("nan"), "x", True)]
        [True, True, False, False, False, False]
        """
        if not isinstance(value, int if self.whole else (int, float)) or isinstance(value, bool):
            return False
        high = float("inf") if self.most is None else self.most
        return (value > self.least if self.above else value >= self.least) and (
            value < high if self.below or self.most is None else value <= high
        )

    def told(self) -> str:
        """Return the range in words.

        >>> Range(0, 1, above=True).told(), Range(1, whole=True).told()
        ('Above 0 to 1', 'Whole numbers from 1')
        """
        first = f"{'above' if self.above else 'from'} {self.least:g}"
        last = "" if self.most is None else f" to {'below ' * self.below}{self.most:g}"
        words = f"{'whole numbers ' * self.whole}{first}{last}"
        return words[0].upper() + words[1:]

    def nearest(self, value: object) -> str:
        """Return in words what comes next to a number outside; nothing of what is no number.

        >>> limit = Range(0, 1, below=True)
        >>> limit.nearest(-3), limit.nearest(2), limit.nearest("x")
        ('0', 'just below 1', '')
        """
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value != value:  # noqa: PLR0124
            return ""
        if value <= self.least:
            return f"{'just above ' * self.above}{self.least:g}"
        if self.most is not None and value >= self.most:
            return f"{'just below ' * self.below}{self.most:g}"
        return f"{round(value)}" if abs(value) < float("inf") else ""

    def bounds(self) -> dict[str, Any]:
        """Return the range as pydantic's `Field` takes it."""
        ends = {"gt" if self.above else "ge": self.least, "lt" if self.below else "le": self.most}
        return {name: end for name, end in ends.items() if end is not None}


@dataclass(frozen=True, slots=True)
class Several:
    """A tuple of so many numbers of a range; rising: none below the one before."""

    each: Range
    least: int = 0
    most: int | None = None
    rising: bool = False

    def holds(self, value: object) -> bool:
        """Say whether the value is such a tuple.

        >>> limit = Several(Range(0, 1), rising=True)
        >>> [limit.holds(value) for value in ((), (0.5, 1.0), (1.0, 0.5), 0.5)]
        [True, True, False, False]
        """
        if not isinstance(value, tuple) or not all(map(self.each.holds, value)):
            return False
        many = self.least <= len(value) and (self.most is None or len(value) <= self.most)
        return many and (not self.rising or list(value) == sorted(value))

    def told(self) -> str:
        """Return what it holds in words."""
        first, most = self.each.told(), self.most
        count = "" if most is None else f"{self.least} to {most} of them: "
        return f"{count}{first}{', none below the one before' * self.rising}, as a tuple"

    def nearest(self, _value: object) -> str:
        """Return nothing: what was meant cannot be told."""
        return ""

    def bounds(self) -> dict[str, Any]:
        """Return the count as pydantic's `Field` takes it."""
        return {"min_length": self.least, "max_length": self.most}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values, of the same type."""

    values: tuple[Any, ...]

    def holds(self, value: object) -> bool:
        """Say whether the value is one of them.

        >>> [Choice((1, 2)).holds(value) for value in (1, True, [])]
        [True, False, False]
        """
        return any(type(value) is type(one) and value == one for one in self.values)

    def told(self) -> str:
        """Return them in words."""
        return f"Choices: {', '.join(map(str, self.values))}"

    def nearest(self, value: object) -> str:
        """Return the one that is spelt most alike, if any is.

        >>> Choice(("sgd", "muon")).nearest("Muon")
        'muon'
        """
        return "".join(get_close_matches(str(value).lower(), map(str, self.values), n=1))

    def bounds(self) -> dict[str, Any]:
        """Return nothing: pydantic reads choices from the type."""
        return {}


Limit = Range | Several | Choice
SHARE = Range(0, 1)
SWITCH = Choice((False, True))
CHANNELS = Range(1, 4096, whole=True)
SIDE_PX = Range(8, 512)  # of the images that a network is trained on
RECIPE: Mapping[str, Limit] = {
    "steps": Range(1, whole=True),
    "batch_size": Range(2, whole=True),
    "lr": Range(0, 100, above=True),
    "weight_decay": Range(0, 100),
    "evals": Range(1, 1000, whole=True),
    "ema_share": Range(0, 1, above=True),
    "label_smoothing": Range(0, 1, below=True),
    "optimiser": Choice(get_args(OptimiserName)),
    "hidden": Range(1, 65536, whole=True),
    "embedding": Range(0, 4096, whole=True),
    "flip": SWITCH,
    "translate_px": Range(0, 7, whole=True),
    "hardest": Range(0, 1, above=True),
    "members": Range(1, 256, whole=True),
    "schedule": Choice(get_args(Schedule)),
    "decay_share": Range(0, 1, above=True, below=True),
    "sparsity": Range(0, 1, below=True),
    "sparse_from": SHARE,
    "freeze": Several(SHARE, rising=True),
    "layers": Range(1, 16, whole=True),
    "layout": Choice(get_args(Layout)),
    "precision": Choice(get_args(Precision)),
    "engine": Choice(get_args(Engine)),
}
NET: Mapping[str, Limit] = {
    "name": Choice(get_args(NetName)),
    "widths": Several(CHANNELS, 1, 8),
    "convs": Range(1, 16, whole=True),
    "residual": SWITCH,
    "width": CHANNELS,
    "norm": Choice(get_args(Norm)),
    "stride": Choice(get_args(Stride)),
    "dirac": SWITCH,
    "dropout": Range(0, 1, below=True),
}
IMAGES: Mapping[str, Limit] = {"weight_decay": Range(0, 1, below=True)}
"""What only a network of images asks: its steps take this very share off the weights."""

UNREAD: Mapping[str, frozenset[str]] = {
    "image": frozenset({"hidden", "embedding", "members", "layers"}),
    "table": frozenset(
        {"optimiser", "flip", "translate_px", "net", "freeze", "start"}
        | {"layout", "precision", "engine"}
    ),
}
"""By kind of data, the fields of a recipe that its networks do not read."""

UNREAD_NET: Mapping[str, frozenset[str]] = {
    "small": frozenset({"width"}),
    "resnet18": frozenset({"widths", "convs", "residual", "stride", "dirac"}),
}
"""By name, the fields of a network that it does not read."""


def check(where: str, limits: Mapping[str, Limit], settings: Mapping[str, Any]) -> None:
    """Refuse the first value that is outside its limit; what has no limit is not looked at.

    Raises:
        TrainingError: with the place, the value, what is allowed and what comes nearest.

    >>> check("recipe", RECIPE, {"members": 0})
    Traceback (most recent call last):
    training.errors.TrainingError: recipe.members: cannot be (got 0). Whole numbers from 1 to 256; \
the nearest is 1.
    """
    for name, limit in limits.items():
        if name in settings and not limit.holds(value := settings[name]):
            near = limit.nearest(value)
            allowed = f"{limit.told()}{f'; the nearest is {near}' * bool(near)}."
            raise TrainingError(f"{where}.{name}", "cannot be", got=value, allowed=allowed)


def refuse_unread(kind: str, told: Mapping[str, Any]) -> None:
    """Refuse fields that a person set and that networks of this kind of data would not read.

    kind: image or table. told: fields of a recipe; `net` may be a mapping of its own.

    Raises:
        TrainingError: with the first such field, or a value that this kind cannot have.

    >>> refuse_unread("image", {"lr": 0.1, "members": 8})
    Traceback (most recent call last):
    training.errors.TrainingError: recipe.members: changes nothing here (got 8). Networks of \
images do not read embedding, hidden, layers, members. Leave it out.
    """
    _refuse("recipe", f"Networks of {kind}s do", UNREAD[kind], told)
    if kind == "image":
        check("recipe", IMAGES, told)
    if isinstance(net := told.get("net"), Mapping):
        name = str(net.get("name", "small"))
        _refuse("recipe.net", f"The network {name} does", UNREAD_NET.get(name, frozenset()), net)


def _refuse(where: str, who: str, unread: frozenset[str], told: Mapping[str, Any]) -> None:
    if name := next((name for name in told if name in unread), ""):
        raise TrainingError(
            f"{where}.{name}", "changes nothing here", got=told[name],
            allowed=f"{who} not read {', '.join(sorted(unread))}.", advice="Leave it out.",
        )  # fmt: skip
