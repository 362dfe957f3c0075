"""What a plan says of the parameters that learn, and when."""

from typing import Any

from rag_lightning.model.head_weights import missing_head_weights
from rag_lightning.model.interface import PRETRAINED_HEADS
from rag_lightning.training.plan import Plan
from rag_lightning.tuning.gradual import Unfreezing, at_which_something_learns, depths, schedule


def unfreezing_of(plan: Plan, network: Any, steps: int, steps_of_epoch: int) -> Unfreezing | None:
    """What changes from step to step which layers learn, in a fit of ``steps``; None where nothing does."""
    unfreeze = plan.config.tuning.unfreeze
    if unfreeze.every is None:
        return None
    each_depth = at_which_something_learns(network, depths(plan.architecture, plan.head, plan.frozen_layers))
    made = schedule(unfreeze, each_depth, steps, steps_of_epoch)
    return None if made is None else Unfreezing(network, made)


def head_is_new(plan: Plan) -> bool:
    """Whether the head has no pretrained weights; those of a head that reads or writes words may be there."""
    if plan.head == "text":
        return plan.config.model.random_init
    return plan.head not in PRETRAINED_HEADS or plan.config.model.random_init or bool(head_notes(plan))


def head_notes(plan: Plan) -> tuple[str, ...]:
    """A sentence on a head that reads, where the backbone's checkpoint brings none."""
    if not plan.went_on_reading or plan.config.model.random_init:
        return ()
    if not (missing := missing_head_weights(plan.model.folder, plan.architecture, plan.head)):
        return ()
    return (
        f"The backbone's checkpoint has no head that guesses words (no {missing[0]}): its head begins with random "
        "weights, and the scores before training are those of blind guesses.",
    )
