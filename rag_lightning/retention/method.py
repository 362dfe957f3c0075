"""What a retention method is: options, what it cannot go with, and hooks into a training step."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

if TYPE_CHECKING:
    from rag_lightning.retention.setting import Setting, Situation

Batch = dict[str, Tensor]


class Options(BaseModel):
    """Of a method; the base of each method's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def in_force(self) -> bool:
        """Whether the method does anything."""
        return True


class Weighted(Options):
    """Options of a method that adds a term to the loss."""

    weight: float = Field(ge=0, description="of the term beside the task's loss; 0: nothing is done")
    schedule: Literal["constant", "rise", "fall"] = Field(
        "constant", description="of the weight over the training: constant, from 0 up to it, or from it down to 0"
    )

    @property
    def in_force(self) -> bool:
        return self.weight > 0

    def weight_at(self, progress: float) -> float:
        """The weight when ``progress`` (0 to 1) of the training is done."""
        share = {"constant": 1.0, "rise": progress, "fall": 1.0 - progress}[self.schedule]
        return self.weight * share


@dataclass(frozen=True)
class Step:
    """Where in the training a hook is called.

    Attributes:
        number: optimizer steps done before, of this stage; ``progress`` is its share of all, 0 to 1.
        batch: number of the batch; with accumulated gradients a step has several.
        rank, world: which process of how many.
        gradient_scale: what gradients are multiplied by now (fp16 with an optimizer that divides by it itself).
    """

    number: int
    progress: float
    batch: int = 0
    rank: int = 0
    world: int = 1
    gradient_scale: float = 1.0


class Hooks:
    """What a method does at the points of a training; each does nothing by default.

    Within an optimizer step they are called in this order. Random numbers come from torch's generator, which a step
    seeds by its place, or from the step's number: a resumed run does the same.
    """

    def before_forward(self, step: Step) -> None:
        """Before each batch is run through the network."""

    def after_forward(self, step: Step) -> None:
        """After it, before any method adds to the loss."""

    def loss(self, network: Any, outputs: Any, batch: Batch, step: Step) -> Tensor | None:
        """A further term of the loss, a scalar, weighted already."""
        return None

    def after_backward(self, step: Step) -> None:
        """After the gradients of a batch were added up."""

    def change_gradient(self, step: Step) -> None:
        """Before clipping and the optimizer: what becomes of the gradients of the losses."""

    def add_gradient(self, step: Step) -> None:
        """After that, still before clipping: terms whose gradient has a closed form."""

    def after_step(self, step: Step) -> None:
        """After the optimizer changed the weights; ``step.number`` counts it."""

    def before_evaluation(self) -> None:
        """Before validation during training."""

    def after_evaluation(self) -> None:
        """After it, and after the best weights were saved."""

    def after_training(self) -> None:
        """When all steps are done."""

    def choose(self, evaluate: Callable[[], float], lower_is_better: bool) -> list[str]:
        """At the end, with the weights that will be used: may change them by validation; sentences on what was done.

        Args:
            evaluate: the headline metric on validation with the weights as they are.
        """
        return []

    def state_dict(self) -> dict[str, Tensor]:
        """What a step carries on, for the resume point."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take back what :meth:`state_dict` gave."""

    def held(self) -> list[Tensor]:
        """The tensors that the method holds beside the network, as long as the training runs."""
        return []


@dataclass(frozen=True)
class Method:
    """A way to keep knowledge, declared once.

    Attributes:
        options: the model of its YAML.
        build: ``(options, setting)`` -> its hooks, with the network as it came from pretraining.
        check: ``(options, situation)``: raises a UserError for what it cannot go with, before a model is loaded.
        reads_text: whether general text takes part, where the method is in force.
        changes_input: whether what the network reads is changed, so that frozen layers do not say the same again.
    """

    options: type[Any]
    build: Callable[[Any, "Setting"], Hooks]
    check: Callable[[Any, "Situation"], None] = lambda options, situation: None
    reads_text: bool = False
    changes_input: bool = False


@torch.no_grad()
def with_gradient(pairs: list[tuple[Tensor, ...]]) -> list[tuple[Tensor, ...]]:
    """Those tuples whose first tensor has a gradient now: what is not yet unfrozen is left alone."""
    return [each for each in pairs if each[0].grad is not None]
