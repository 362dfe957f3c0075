"""Checkpoints hold only what learns; the rest comes from the backbone again, whose content a run's name vouches for."""

from collections.abc import Collection, Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rag_lightning.errors import UserError


def never_learning(network: nn.Module) -> frozenset[str]:
    """The names of the parameters that do not learn, all names of a tied one; buffers are not among them."""
    named = network.named_parameters(remove_duplicate=False)
    return frozenset(name for name, parameter in named if not parameter.requires_grad)


def without(state: Mapping[str, Tensor], names: Collection[str], prefix: str = "") -> dict[str, Tensor]:
    """``state`` without ``names``, which are given without ``prefix``."""
    left_out = {prefix + name for name in names}
    return {name: tensor for name, tensor in state.items() if name not in left_out}


def untied(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor once: safetensors refuses shared memory, and loading ties them again."""
    seen: set[int] = set()
    kept = {}
    for name, tensor in weights.items():
        if tensor.data_ptr() in seen and tensor.numel():
            continue
        seen.add(tensor.data_ptr())
        kept[name] = tensor
    return kept


def save_learned(state: Mapping[str, Tensor], never: Collection[str], file: Path) -> None:
    """Write what learned of a network's ``state``, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".part")
    save_file(untied({name: each.contiguous() for name, each in without(state, never).items()}), beside)
    beside.replace(file)


def load_learned(network: nn.Module, file: Path) -> None:
    """Put back what :func:`save_learned` wrote.

    Raises:
        UserError: if the file is damaged, or of another network.
    """
    try:
        saved = load_file(file)
    except (SafetensorError, OSError) as error:
        raise _refused(file, f"cannot be read ({str(error).splitlines()[0]})") from None
    state = network.state_dict()
    for name, tensor in saved.items():
        if name not in state or state[name].shape != tensor.shape:
            raise _refused(file, f"holds {name} {tuple(tensor.shape)}, which the network has not")
    never = never_learning(network)
    if missing := [name for name in untied(without(state, never)) if name not in saved]:
        raise _refused(file, f"lacks {missing[0]}")
    network.load_state_dict(saved, strict=False)


def check_names(saved: Collection[str], state: Collection[str], never: Collection[str], prefix: str) -> None:
    """Raise a UserError where a resume point does not hold exactly what learns of a state.

    Args:
        saved: the names in the resume point.
        state: the names of the state that it is loaded into.
        never: of them, without ``prefix``, those that do not learn.
    """
    expected = set(state) - {prefix + name for name in never}
    if wrong := sorted(expected.symmetric_difference(saved)):
        relation = "lacks" if wrong[0] in expected else "holds"
        raise _refused(Path("resume point"), f"{relation} {wrong[0]}, unlike this network")


def _refused(file: Path, reason: str) -> UserError:
    return UserError(
        f"the saved weights {reason}", where=str(file), remedy="force=true runs the training again from the start."
    )
