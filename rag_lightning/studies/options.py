"""What the node ``study`` may hold."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


def _words(value: Any) -> Any:
    return value.split() if isinstance(value, str) else value


def _each_once(values: list[int]) -> list[int]:
    if any(value < 0 for value in values):
        raise ValueError("numbers from 0 on are needed")
    return sorted(set(values))


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


def _only_known(values: Any) -> Any:
    """Leave the arms that are not among ``only`` out."""
    if not isinstance(values, dict) or values.get("only") is None:
        return values
    arms = values["arms"]
    if strange := [name for name in values["only"] if name not in arms]:
        raise ValueError(f"only: there is no arm named {strange[0]!r}; there are: {', '.join(arms)}")
    return {**values, "arms": {name: arm for name, arm in arms.items() if name in values["only"]}}


def _without_shots(arms: dict[str, Arm]) -> dict[str, Arm]:
    """Refuse numbers of labels where they would change nothing."""
    if counting := [name for name, arm in arms.items() if arm.shots is not None]:
        raise ValueError(
            f"{counting[0]}: shots are for python -m rag_lightning.label_efficiency; here write data.shots=… among "
            "the overrides"
        )
    return arms


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
    _once = field_validator("shots", "seeds")(_each_once)


class ComparisonConfig(BaseModel):
    """Ways of training side by side: what each learns, what it keeps, and what it takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shared: list[str] = Field(
        description="what every run gets; the user's own overrides come after it, and the arm's last"
    )
    seeds: list[int] = Field(min_length=1, description="of the training")
    arms: dict[str, Arm] = Field(min_length=1, description="the first one is what the others are compared with")
    only: list[str] | None = Field(description="names of the arms that are run; null: all")
    folder: str | None = Field(description="of the results; null: <output_dir>/compare/<comparison>-<task>-<data>")
    keep_models: bool = Field(description="keep each run's exported model")

    _split = field_validator("shared", mode="before")(_words)
    _once = field_validator("seeds")(_each_once)
    _of_those = model_validator(mode="before")(_only_known)
    _uncounted = field_validator("arms")(_without_shots)


class SequenceConfig(BaseModel):
    """Tasks that one backbone learns after one another, and what is left of each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tasks: dict[str, Arm] = Field(min_length=2, description="name: overrides, in the order in which they are learnt")
    shared: list[str] = Field(
        description="what every run gets; the user's own overrides come after it, then the task's, the arm's last"
    )
    seeds: list[int] = Field(min_length=1, description="of the training")
    arms: dict[str, Arm] = Field(min_length=1, description="ways of training; the first is what others are compared to")
    only: list[str] | None = Field(description="names of the arms that are run; null: all")
    folder: str | None = Field(description="of the results; null: <output_dir>/sequence/<tasks>")

    _split = field_validator("shared", mode="before")(_words)
    _once = field_validator("seeds")(_each_once)
    _of_those = model_validator(mode="before")(_only_known)
    _uncounted = field_validator("tasks", "arms")(_without_shots)
