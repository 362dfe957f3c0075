"""What the config group ``tuning`` may hold."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class UnfreezeConfig(BaseModel):
    """Gradual unfreezing: the head learns first, then one layer more at a time, from the top."""

    model_config = ConfigDict(extra="forbid")

    every: Annotated[float, Field(gt=0)] | Literal["auto"] | None = Field(
        None,
        description="A further layer learns after each such share of all steps (below 1) or so many epochs (from 1 "
        "on); auto: equal shares for the head alone and each layer; null: all learn from the start.",
    )


class AdapterConfig(BaseModel):
    """Small modules that learn in place of the backbone, merged into it at the end."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["lora", "ia3"] | None = Field(None, description="lora, ia3, or null for none.")
    rank: int = Field(8, ge=1, description="Of LoRA's matrices.")
    alpha: int = Field(16, ge=1, description="LoRA's update is multiplied by alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Of the input of LoRA's matrices.")
    targets: Literal["auto"] | Annotated[list[str], Field(min_length=1)] = Field(
        "auto", description="Names of the linear layers that are adapted, as in peft; auto: by the model's family."
    )


class TuningConfig(BaseModel):
    """Which part of the model learns, and how fast."""

    model_config = ConfigDict(extra="forbid")

    frozen_layers: Annotated[int, Field(ge=0)] | Literal["half", "all"] = Field(
        0,
        description="Freeze the embeddings and this many lowest layers; 0: all learn, half: the "
        "upper half does, all: only the head.",
    )
    head_lr: float | None = Field(
        None, gt=0, description="Learning rate of the task head; null: that of the backbone (optimizer.lr)."
    )
    parameters: Literal["all", "biases"] = Field(
        "all", description="What learns of the layers that do: all, or the biases alone (BitFit)."
    )
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="A layer's learning rate is that of the layer above it times this."
    )
    unfreeze: UnfreezeConfig = Field(default_factory=UnfreezeConfig, description="Gradual unfreezing.")
    adapter: AdapterConfig = Field(default_factory=AdapterConfig, description="Adapters.")


def idle_settings(tuning: TuningConfig) -> set[str]:
    """The keys that have no effect as they are set: no part of what a run is."""
    idle = {
        "tuning.parameters": tuning.parameters == "all",
        "tuning.layer_decay": tuning.layer_decay == 1.0,
        "tuning.unfreeze": tuning.unfreeze.every is None,
        "tuning.adapter": tuning.adapter.kind is None,
        "tuning.adapter.rank": tuning.adapter.kind != "lora",
        "tuning.adapter.alpha": tuning.adapter.kind != "lora",
        "tuning.adapter.dropout": tuning.adapter.kind != "lora",
    }
    return {key for key, is_idle in idle.items() if is_idle}
