"""[training.recipe]: how the train tier's networks learn, where it is not to be as we choose.

Names and ranges are those of `training.recipe.Recipe` and `training.models.Net`, which are not
imported: torch is slow to start. A test holds both to each other.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from flows.app.section import Section

Channels = Annotated[int, Field(ge=1, le=4096)]


class NetSection(Section):
    """[training.recipe.net]: the network of images. What is left out is chosen."""

    name: Literal["small", "resnet18"] | None = Field(
        None, description="small, or resnet18 for photos of 64 to 224 px."
    )
    widths: tuple[Channels, ...] | None = Field(
        None, min_length=1, max_length=8, description="Channels of small's blocks, one each."
    )
    convs: int | None = Field(None, ge=1, le=16, description="3x3 convolutions in a block.")
    residual: bool | None = Field(
        None, description="A block adds its first features to its last; convs 2 or more."
    )
    width: Channels | None = Field(None, description="Channels of resnet18's first stage.")
    norm: Literal["batch", "group"] | None = Field(
        None, description="group: no sample's output depends on its batch."
    )
    stride: Literal[1, 2] | None = Field(
        None, description="Of small's first layer, px; 1 costs three times as much as 2."
    )
    dirac: bool | None = Field(None, description="Convolutions start as the identity.")
    dropout: float | None = Field(
        None, ge=0, lt=1, description="Share of the last features set to 0 in training, 0..1."
    )

    @model_validator(mode="after")
    def _add_something(self) -> NetSection:
        if self.residual and self.convs == 1:
            message = "residual = true needs convs of 2 or more (got 1)"
            raise ValueError(message)
        return self


class RecipeSection(Section):
    """[training.recipe]: how networks of the train tier learn. What is left out is chosen."""

    lr: float | None = Field(None, gt=0, le=100, description="Learning rate after the warm-up.")
    weight_decay: float | None = Field(
        None, ge=0, le=100, description="Decoupled weight decay, a factor of the learning rate."
    )
    evals: int | None = Field(None, ge=1, le=1000, description="Points of a learning curve.")
    ema_share: float | None = Field(
        None, gt=0, le=1, description="Share of all steps that averaged weights remember, 0..1."
    )
    label_smoothing: float | None = Field(
        None, ge=0, lt=1, description="Share of a label that is spread over all classes, 0..1."
    )
    hidden: int | None = Field(None, ge=1, le=65536, description="Width of a table's layers.")
    embedding: int | None = Field(
        None, ge=0, le=4096, description="Width of the vector of a table's category; 0: none."
    )
    flip: bool | None = Field(None, description="Mirror images, every other epoch.")
    translate_px: int | None = Field(
        None, ge=0, le=7, description="Farthest that images are shifted, px; 0: not at all."
    )
    hardest: float | None = Field(
        None, gt=0, le=1, description="Share of a batch learnt from, by highest loss, 0..1."
    )
    net: NetSection | None = Field(
        None, description="The network of images: see [training.recipe.net]."
    )
    members: int | None = Field(
        None, ge=1, le=256, description="Networks that a table's prediction is the mean of."
    )
    schedule: Literal["constant", "wsd"] | None = Field(
        None, description="wsd: the learning rate winds down to 0 at the end."
    )
    decay_share: float | None = Field(
        None, gt=0, lt=1, description="Share of the steps that wsd winds down over, 0..1."
    )
    sparsity: float | None = Field(
        None, ge=0, lt=1, description="Share of each layer's weights that is held at zero, 0..1."
    )
    sparse_from: float | None = Field(
        None, ge=0, le=1, description="Share of the steps after which they are, 0..1."
    )
    freeze: tuple[Annotated[float, Field(ge=0, le=1)], ...] | None = Field(
        None, description="Share of the steps after which each block of images stops learning."
    )
    layers: int | None = Field(None, ge=1, le=16, description="Hidden layers of a table's network.")
    layout: Literal["channels_last", "nchw"] | None = Field(
        None, description="Of images in memory. Set, `probe` does not choose."
    )
    precision: Literal["fp32", "bf16"] | None = Field(
        None, description="Of a network of images. Set, `probe` does not choose."
    )
    engine: Literal["eager", "compile", "graphs"] | None = Field(
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
