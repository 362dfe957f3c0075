"""Let a network begin at a layer, with given states in place of all that lies beneath it.

Nothing of the network is changed for good: within a block, the layers beneath and the embeddings answer with the
states that they were given, and whatever the model does around its layers (masks, positions, norms) it still does.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rag_lightning.model.interface import INTERFACES, base_model_of, layers_of, part, stacks_of


def begins(model_type: str) -> bool:
    """Whether a network of this type can begin at a layer."""
    found = INTERFACES.get(model_type)
    return found is not None and len(found.stacks) == 1 and found.stacks[0].entry is not None


class Beginning:
    """A network and the layer at which it can begin.

    Args:
        network: with its head; of a type for which :func:`begins` holds.
        depth: how many of its lowest layers are left out, at least one.
    """

    def __init__(self, network: PreTrainedModel, depth: int) -> None:
        stack = stacks_of(network)[0]
        assert stack.entry is not None and depth > 0
        base = base_model_of(network)
        self.layers = layers_of(network)[:depth]
        self.entry = [module for path in stack.entry if (module := part(base, path)) is not None]
        self.in_tuples = stack.layers_give_tuples

    @contextmanager
    def given(self, states: Tensor) -> Iterator[None]:
        """Within the block the network's layers beneath give ``states`` (rows, tokens, width)."""
        answer = (states, None) if self.in_tuples else states
        answers = [(module, states) for module in self.entry] + [(module, answer) for module in self.layers]
        before = [(module, vars(module).get("forward")) for module, _ in answers]
        for module, each in answers:
            vars(module)["forward"] = _always(each)
        try:
            yield
        finally:
            for module, own in before:
                if own is None:
                    del vars(module)["forward"]
                else:  # a fused layer has a forward of its own
                    vars(module)["forward"] = own

    @torch.no_grad()
    def states(self, run: Callable[[], Any]) -> Tensor:
        """What the highest layer beneath gives while ``run`` runs the network, (rows, tokens, width).

        Raises:
            ValueError: if the layer is not run, or gives something else than is known of its family.
        """
        found: list[Any] = []

        def stop(module: nn.Module, arguments: Any, output: Any) -> None:
            found.append(output)
            raise _Stop

        handle = self.layers[-1].register_forward_hook(stop)
        try:
            run()
        except _Stop:
            pass
        finally:
            handle.remove()
        if not found or isinstance(found[0], tuple) != self.in_tuples:
            raise ValueError("the layers of this network are not run in a way that is known")
        states = found[0][0] if self.in_tuples else found[0]
        assert isinstance(states, Tensor)
        return states


class _Stop(Exception):
    """The layers above need not be run."""


def _always(answer: Any) -> Callable[..., Any]:
    return lambda *arguments, **keywords: answer
