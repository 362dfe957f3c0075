"""The switches of ``speed.*``: each is on, off, or ``auto`` (on where it is known to pay)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Switch = bool | Literal["auto"]


class SpeedConfig(BaseModel):
    """Which accelerations are allowed. ``auto`` turns one on where the hardware and the model fit."""

    model_config = ConfigDict(extra="forbid")

    allocator: Switch = Field("auto", description="Keep freed memory in the process (glibc mallopt); CPU only.")
    threads: int | Literal["auto"] = Field(
        "auto", description="Threads for matrix products; auto leaves torch's choice (or OMP_NUM_THREADS)."
    )
    fused_layers: Switch = Field(
        "auto", description="Run BERT-like encoder layers as one hand-differentiated operation; CPU only."
    )
    fast_dropout: Switch = Field(
        "auto", description="Draw the embedding's and head's dropout masks from a fast generator; CPU only."
    )
    active_embeddings: Switch = Field(
        "auto", description="Keep optimizer state only for word embeddings that occur in the training data."
    )

    @staticmethod
    def wants(switch: Switch, by_default: bool = True) -> bool:
        """Resolve one switch: ``auto`` means ``by_default``."""
        return by_default if switch == "auto" else bool(switch)
