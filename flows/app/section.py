"""What every part of the configuration is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the configuration: frozen, and no unknown key passes."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=False)
