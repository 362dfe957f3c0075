"""What the config group ``tuning`` may hold."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class TuningConfig(BaseModel):
    """Which part of the model learns."""

    model_config = ConfigDict(extra="forbid")

    frozen_layers: Annotated[int, Field(ge=0)] | Literal["all"] = Field(
        0,
        description="Freeze the embeddings and this many lowest layers; 0: all learn, all: only the head.",
    )
    head_lr: float | None = Field(
        None, gt=0, description="Learning rate of the task head; null: that of the backbone (optimizer.lr)."
    )
