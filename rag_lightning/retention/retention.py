"""All chosen methods as one, for the module that trains."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from rag_lightning.retention.method import Batch, Hooks, Step


@dataclass
class Retention:
    """The hooks of each method by its name, and what they said.

    Attributes:
        hooks: in the order in which they are called; what was done before is undone in the opposite order.
        notes: sentences for the report.
    """

    hooks: Mapping[str, Hooks] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.hooks)

    def before_forward(self, step: Step) -> None:
        for each in self.hooks.values():
            each.before_forward(step)

    def losses(self, network: Any, outputs: Any, batch: Batch, step: Step) -> dict[str, Tensor]:
        """The terms beside the task's loss, by the method's name."""
        for each in self.hooks.values():
            each.after_forward(step)
        terms = {name: each.loss(network, outputs, batch, step) for name, each in self.hooks.items()}
        return {name: term for name, term in terms.items() if term is not None}

    def after_backward(self, step: Step) -> None:
        for each in self._backwards():
            each.after_backward(step)

    def add_gradient(self, step: Step) -> None:
        for each in self.hooks.values():
            each.change_gradient(step)
        for each in self.hooks.values():
            each.add_gradient(step)

    def after_step(self, step: Step) -> None:
        for each in self.hooks.values():
            each.after_step(step)

    def before_evaluation(self) -> None:
        for each in self.hooks.values():
            each.before_evaluation()

    def after_evaluation(self) -> None:
        for each in self._backwards():
            each.after_evaluation()

    def after_training(self) -> None:
        for each in self.hooks.values():
            each.after_training()

    def choose(self, evaluate: Callable[[], float], lower_is_better: bool) -> None:
        """Let each method change the weights that will be used; what it did goes into the notes."""
        for each in self.hooks.values():
            self.notes += each.choose(evaluate, lower_is_better)

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        states = {name: each.state_dict() for name, each in self.hooks.items()}
        return {name: state for name, state in states.items() if state}

    def load_state_dict(self, states: Mapping[str, dict[str, Tensor]]) -> None:
        for name, state in states.items():
            self.hooks[name].load_state_dict(state)

    def memory(self) -> int:
        """Bytes held beside the network; what several methods share counts once."""
        held = {tensor.data_ptr(): tensor for each in self.hooks.values() for tensor in each.held()}
        return sum(tensor.numel() * tensor.element_size() for tensor in held.values())

    def _backwards(self) -> Sequence[Hooks]:
        return list(self.hooks.values())[::-1]
