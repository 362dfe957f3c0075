"""What ``conf/export.yaml`` says."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ExportConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str = Field(description="the folder of a finished run")
    format: str = Field("hf", description="one of the modules of export/formats: hf, onnx, torch")
    output: str | None = Field(None, description="the folder to write; null: export/<format> in the run's folder")
    int8: bool = Field(False, description="with onnx: weights in 8 bits, activations quantised as they come")
    examples: int = Field(200, ge=1, description="of the run's own data, on which it is checked")
    tolerance: Literal["auto"] | float = Field(
        "auto",
        description="largest difference of a logit; auto: 0.001, and with int8 none but the metric's",
    )
    metric_tolerance: Literal["auto"] | float = Field(
        "auto", description="largest difference of the task's metric; auto: 0.001, and with int8 0.03"
    )
    force: bool = Field(False, description="replace what is there")

    @property
    def name(self) -> str:
        """Of the format, as its folder and the table call it."""
        return f"{self.format}-int8" if self.int8 else self.format

    @property
    def logit_limit(self) -> float:
        """The largest difference of logits that is let pass."""
        if self.tolerance != "auto":
            return self.tolerance
        return float("inf") if self.int8 else 1e-3

    @property
    def metric_limit(self) -> float:
        """The largest difference of the metric that is let pass."""
        if self.metric_tolerance != "auto":
            return self.metric_tolerance
        return 0.03 if self.int8 else 1e-3
