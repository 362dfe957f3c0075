"""Gradual unfreezing (Howard & Ruder 2018, ULMFiT): the head learns first, then a further layer from the top.

What learns is a function of the global step alone, so that a resumed run needs no further state. The optimizer holds
all parameters from the start: without a gradient it passes over them, weight decay included.
"""

from dataclasses import dataclass

from transformers import PretrainedConfig, PreTrainedModel

from rag_lightning.errors import UserError
from rag_lightning.model.interface import layers_per_group, n_layers
from rag_lightning.tuning.freeze import frozen_modules, keep_frozen_in_eval
from rag_lightning.tuning.options import UnfreezeConfig
from rag_lightning.tuning.way import Setting, Way


def depths(config: PretrainedConfig, head: str, frozen_layers: int) -> tuple[int, ...]:
    """How many of the lowest layers are frozen, from all to ``frozen_layers``; the embeddings go with the first.

    Layers that share their parameters (ALBERT) go together.
    """
    total = n_layers(config, head)
    return (*range(total, frozen_layers, -layers_per_group(config)), frozen_layers)


def at_which_something_learns(network: PreTrainedModel, depths: tuple[int, ...]) -> tuple[int, ...]:
    """Without the first of ``depths`` at which nothing would: a head that is tied to the embeddings does not learn."""
    learning = {id(each) for each in network.parameters() if each.requires_grad}
    return tuple(depth for depth in depths if learning - _frozen_at(network, depth)) or depths[-1:]


def _frozen_at(network: PreTrainedModel, depth: int) -> set[int]:
    return {id(each) for module in frozen_modules(network, depth) for each in module.parameters()}


@dataclass(frozen=True)
class Schedule:
    """The frozen layers at each step: ``depths`` one after the other, each for ``every`` steps, the last to the end."""

    depths: tuple[int, ...]
    every: float

    def depth(self, step: int) -> int:
        """The number of frozen layers at an optimizer step, counted from 0."""
        return self.depths[min(int(step / self.every), len(self.depths) - 1)]


def schedule(unfreeze: UnfreezeConfig, depths: tuple[int, ...], steps: int, steps_of_epoch: int) -> Schedule | None:
    """The schedule of a training of ``steps``; None where all learn from the start."""
    if unfreeze.every is None:
        return None
    if unfreeze.every == "auto":
        return Schedule(depths, steps / len(depths))
    return Schedule(depths, unfreeze.every * (steps if unfreeze.every < 1 else steps_of_epoch))


class Unfreezing:
    """Brings a network to the state that a step asks for.

    Args:
        network: in which everything that will ever learn may learn now.
        schedule: of the training.
    """

    def __init__(self, network: PreTrainedModel, schedule: Schedule) -> None:
        self.network, self.schedule = network, schedule
        self.learning = [each for each in network.parameters() if each.requires_grad]
        self.depth: int | None = None

    def due(self, step: int) -> bool:
        """Whether another state is asked for than the one that was set last."""
        return self.schedule.depth(step) != self.depth

    def apply(self, step: int) -> None:
        """Let learn what learns at ``step``; after ``network.train()``, since the frozen part has no dropout."""
        self.depth = self.schedule.depth(step)
        frozen = _frozen_at(self.network, self.depth)
        for parameter in self.learning:
            parameter.requires_grad_(id(parameter) not in frozen)
        keep_frozen_in_eval(self.network, self.depth)

    def release(self) -> None:
        """Let everything learn that ever does, as at the start."""
        for parameter in self.learning:
            parameter.requires_grad_(True)
        self.depth = None


def check(setting: Setting) -> None:
    """Refuse a family whose layers are not known, several processes, and a training that ends before any layer."""
    setting.needs_layers("unfreeze.every")
    if str(setting.trainer.get("strategy", "auto")).startswith(("ddp", "fsdp", "deepspeed")):
        raise UserError(
            "several processes agree at the start on what learns, and gradual unfreezing changes it later",
            where="tuning.unfreeze.every",
            remedy="Train with one process (trainer=cpu or trainer=gpu), or choose tuning=layer_decay.",
        )
    every, epochs = setting.tuning.unfreeze.every, setting.trainer.get("max_epochs")
    if isinstance(every, float) and every >= 1 and epochs not in (None, -1) and every >= int(epochs):
        raise UserError(
            f"no layer would learn: the first does after {every:g} epochs, and the training has {epochs}",
            where="tuning.unfreeze.every",
            remedy="Set it to auto, or to a share of all steps below 1.",
        )


WAY = Way(wanted=lambda tuning: tuning.unfreeze.every is not None, check=check)
