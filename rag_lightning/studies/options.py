"""What the node ``study`` may hold."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


def _words(value: Any) -> Any:
    return value.split() if isinstance(value, str) else value


class Arm(BaseModel):
    """One way of training that is compared; overrides alone are an arm too.

    Attributes:
        overrides: what it changes, as on the command line of ``rag_lightning.train``: a list, or a line with spaces.
        shots: numbers of labels; None: those of the study.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    overrides: list[str] = Field(default_factory=list)
    shots: list[int] | None = None

    @model_validator(mode="before")
    @classmethod
    def _overrides_alone(cls, value: Any) -> Any:
        return {"overrides": value} if isinstance(value, str | list) else value

    _split = field_validator("overrides", mode="before")(_words)


class StudyConfig(BaseModel):
    """How far labels go with each way of training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shared: list[str] = Field(
        description="what every run gets; the user's own overrides come after it, and the arm's last"
    )
    shots: list[int] = Field(min_length=1, description="numbers of labelled examples, or of examples per label")
    per_label: bool = Field(description="shots count for each label (data.shots_per_label) instead of in all")
    seeds: list[int] = Field(min_length=1, description="of the choice of labels and of the training")
    arms: dict[str, Arm] = Field(min_length=1, description="the first one is what the others are compared with")
    folder: str | None = Field(description="of the results; null: <output_dir>/label_efficiency/<study>-<task>-<data>")
    keep_models: bool = Field(description="keep each run's exported model")

    _split = field_validator("shared", mode="before")(_words)

    @field_validator("shots", "seeds")
    @classmethod
    def _each_once(cls, values: list[int]) -> list[int]:
        if any(value < 0 for value in values):
            raise ValueError("numbers from 0 on are needed")
        return sorted(set(values))
