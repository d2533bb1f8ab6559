"""[training.recipe]: how the train tier's networks learn, where it is not to be as we choose.

Names are those of `training.recipe.Recipe` and `training.models.Net`, which are not imported: torch
is slow to start. A test holds both to each other. Ranges and choices are those of the trainer,
`training.limits`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from flows.app.section import Section
from training.limits import (
    CHANNELS,
    NET,
    RECIPE,
    SHARE,
    Engine,
    Layout,
    Limit,
    NetName,
    Norm,
    Precision,
    Schedule,
    Stride,
)

Channels = Annotated[int, Field(**CHANNELS.bounds())]
Share = Annotated[float, Field(**SHARE.bounds())]


def _within(limit: Limit, description: str) -> Any:
    """A key that is chosen where it is left out, and that the trainer's limit bounds."""
    return Field(None, description=description, **limit.bounds())


class NetSection(Section):
    """[training.recipe.net]: the network of images. What is left out is chosen."""

    name: NetName | None = Field(None, description="small, or resnet18 for photos of 64 to 224 px.")
    widths: tuple[Channels, ...] | None = _within(
        NET["widths"], "Channels of small's blocks, one each."
    )
    convs: int | None = _within(NET["convs"], "3x3 convolutions in a block.")
    residual: bool | None = Field(
        None, description="A block adds its first features to its last; convs 2 or more."
    )
    width: int | None = _within(NET["width"], "Channels of resnet18's first stage.")
    norm: Norm | None = Field(None, description="group: no sample's output depends on its batch.")
    stride: Stride | None = Field(
        None, description="Of small's first layer, px; 1 costs three times as much as 2."
    )
    dirac: bool | None = Field(None, description="Convolutions start as the identity.")
    dropout: float | None = _within(
        NET["dropout"], "Share of the last features set to 0 in training, 0..1."
    )

    @model_validator(mode="after")
    def _add_something(self) -> NetSection:
        if self.residual and self.convs == 1:
            message = "residual = true needs convs of 2 or more (got 1)"
            raise ValueError(message)
        return self


class RecipeSection(Section):
    """[training.recipe]: how networks of the train tier learn. What is left out is chosen."""

    lr: float | None = _within(RECIPE["lr"], "Learning rate after the warm-up.")
    weight_decay: float | None = _within(
        RECIPE["weight_decay"],
        "Share of the weights that a step takes off: of images it, below 1; of tables lr times it.",
    )
    evals: int | None = _within(RECIPE["evals"], "Points of a learning curve.")
    ema_share: float | None = _within(
        RECIPE["ema_share"], "Share of all steps that averaged weights remember, 0..1."
    )
    label_smoothing: float | None = _within(
        RECIPE["label_smoothing"], "Share of a label that is spread over all classes, 0..1."
    )
    hidden: int | None = _within(RECIPE["hidden"], "Width of a table's layers.")
    embedding: int | None = _within(
        RECIPE["embedding"],
        "Width of the vector of a table's category; 0: indicators of the common ones.",
    )
    flip: bool | None = Field(None, description="Mirror images, every other epoch.")
    translate_px: int | None = _within(
        RECIPE["translate_px"], "Farthest that images are shifted, px; 0: not at all."
    )
    hardest: float | None = _within(
        RECIPE["hardest"], "Share of a batch learnt from, by highest loss, 0..1."
    )
    net: NetSection | None = Field(
        None, description="The network of images: see [training.recipe.net]."
    )
    members: int | None = _within(
        RECIPE["members"], "Networks that a table's prediction is the mean of."
    )
    schedule: Schedule | None = Field(
        None, description="wsd: the learning rate winds down to 0 at the end."
    )
    decay_share: float | None = _within(
        RECIPE["decay_share"], "Share of the steps that wsd winds down over, 0..1."
    )
    sparsity: float | None = _within(
        RECIPE["sparsity"], "Share of each layer's weights that is held at zero, 0..1."
    )
    sparse_from: float | None = _within(
        RECIPE["sparse_from"], "Share of the steps after which they are, 0..1."
    )
    freeze: tuple[Share, ...] | None = _within(
        RECIPE["freeze"], "Share of the steps after which each block of images stops learning."
    )
    layers: int | None = _within(RECIPE["layers"], "Hidden layers of a table's network.")
    layout: Layout | None = Field(
        None, description="Of images in memory. Set, `probe` does not choose."
    )
    precision: Precision | None = Field(
        None, description="Of a network of images. Set, `probe` does not choose."
    )
    engine: Engine | None = Field(
        None, description="How steps of images are run. Set, `probe` does not choose."
    )

    @model_validator(mode="after")
    def _freeze_in_order(self) -> RecipeSection:
        if self.freeze is not None and list(self.freeze) != sorted(self.freeze):
            message = (
                f"freeze holds shares none of which is below the one before (got {self.freeze})"
            )
            raise ValueError(message)
        return self
