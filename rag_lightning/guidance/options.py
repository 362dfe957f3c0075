"""The ``guidance`` group of the config: which ways from the rules to the model are taken."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Switch = bool | Literal["auto"]


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FeatureOptions(_Options):
    """Rule hits as input: embedded, and added at the first trained layer and to the head's scores."""

    enabled: Switch = Field("auto", description="auto: on where there are rules")
    dropout: float = Field(
        0.2, ge=0, lt=1, description="share of the examples of a training step whose hits are hidden from the model"
    )


class WeakOptions(_Options):
    """Rules label the unlabelled examples."""

    warmup_epochs: int = Field(0, ge=0, description="epochs on weakly labelled examples before the labelled ones")
    warmup_lr: float | None = Field(None, gt=0, description="learning rate of the warm-up; null: optimizer.lr")
    joint_weight: float = Field(
        0.0, ge=0, le=1, description="weight of a weakly labelled example beside a labelled one; 0: not beside them"
    )
    aggregation: Literal["priority", "majority", "label_model"] = Field(
        "priority", description="how several votes become one label"
    )
    keep_silent: float = Field(0.5, ge=0, le=1, description="share of the sentences without any hit that are kept")
    leave_open: bool = Field(
        True,
        description="words written like names on which no rule speaks take no part in the loss, instead of counting as "
        "outside of names",
    )
    limit: int | None = Field(None, ge=1, description="weakly labelled examples at most; null: all")


class SelfTrainingOptions(_Options):
    """The model's own confident answers on unlabelled examples as labels (Yarowsky 1995; Lee 2013)."""

    rounds: int = Field(0, ge=0, description="0: none")
    threshold: float = Field(0.9, ge=0, le=1, description="least confidence of an answer that is taken as a label")
    weight: float = Field(0.5, ge=0, le=1, description="weight of such an example beside a labelled one")
    epochs: int = Field(1, ge=1, description="of each round, over labelled examples and its own answers")


class DecodingOptions(_Options):
    """Hard constraints on the answers."""

    transitions: Switch = Field("auto", description="only valid sequences of tags; auto: on where there are rules")
    vetoes: Switch = Field("auto", description="the rules' vetoes forbid labels; auto: on where there are vetoes")
    crf: bool = Field(False, description="learn scores of transitions (a linear-chain CRF)")


class GuidanceConfig(_Options):
    features: FeatureOptions = Field(default_factory=FeatureOptions, description="rule hits as input")
    weak: WeakOptions = Field(default_factory=WeakOptions, description="rules as supervision")
    self_training: SelfTrainingOptions = Field(
        default_factory=SelfTrainingOptions, description="the model's own answers as supervision"
    )
    examples: Switch = Field(
        "auto", description="the examples that the rule file gives of its labels are labelled texts too; auto: on"
    )
    semantics: bool = Field(False, description="score against encoded label descriptions instead of a new head")
    decoding: DecodingOptions = Field(default_factory=DecodingOptions, description="constraints on the answers")
