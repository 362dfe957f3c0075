"""A run's trunk: the layers that never learn, whose states are kept on disk and looked up instead of computed.

What is kept depends on the backbone's content, the token ids, the number of layers and the arithmetic alone, so that
other runs use it too. Whether a run keeps states changes the last bits of its results at most (they are kept in the
dtype in which the layers compute): it is how a run is computed and no part of what it is, but a run that goes on goes
on as it began.
"""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers

from rag_lightning import __version__
from rag_lightning.config.fingerprint import fingerprint
from rag_lightning.config.paths import cache_dir
from rag_lightning.console import is_rank_zero, say
from rag_lightning.encoding.cache import EncodedSplit
from rag_lightning.encoding.datamodule import GuidedDataModule
from rag_lightning.encoding.loader import EncodedDataset
from rag_lightning.model.interface import ROW_HEADS, layers_of
from rag_lightning.report.files import write_json
from rag_lightning.report.text import duration
from rag_lightning.speed.precision import layer_dtype
from rag_lightning.tasks.task import Task
from rag_lightning.training.devices import MANY_PROCESSES
from rag_lightning.training.optimization import steps_of_epoch, total_steps
from rag_lightning.training.plan import Plan
from rag_lightning.trials import are_many
from rag_lightning.trunk.begin import Beginning, begins
from rag_lightning.trunk.make import Maker, fill, lengths_of, starts
from rag_lightning.trunk.store import Shape, holds, make_room, opened
from rag_lightning.trunk.worth import pays
from rag_lightning.tuning.adapters import adapter_layers
from rag_lightning.tuning.freeze import frozen_modules

CHOICE = "trunk.json"  # beside the resume points
_GIB, _MB = 1 << 30, 1e6
_ARITHMETICS = ("32", "32-true", "bf16-mixed", "16-mixed")  # in which layers compute as they do before the training
# Entries that this process has tried out, and the dtype in which the layers gave them.
_AGREED: dict[str, torch.dtype] = {}


@dataclass(frozen=True)
class Trunk:
    """What a run does about its frozen layers.

    Attributes:
        beginning: how the network begins above them; None: they are computed.
        note: a sentence for the user, empty where there is nothing to say; ``is_refusal``: it was asked for in vain.
        threads: of torch while the network learns and answers; None: as many as there are.
    """

    beginning: Beginning | None = None
    note: str = ""
    is_refusal: bool = False
    threads: int | None = None

    @contextmanager
    def in_its_threads(self) -> Iterator[None]:
        """Within the block torch computes with as many threads as pay."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads or before)
        try:
            yield
        finally:
            torch.set_num_threads(before)


class _Unusable(Exception):
    """Says why states cannot be kept."""


def trunk_of(
    plan: Plan, data: GuidedDataModule, network: Any, task: Task, *, device: torch.device, precision: str, fused: bool
) -> Trunk:
    """Make or find the states of all splits that the run reads, and let ``data`` serve them.

    Args:
        network: frozen and accelerated, in eval mode, with its pretrained weights.
        device: on which it trains; it is moved there if states have to be made.
        precision: Lightning's flag; ``fused``: whether layers are fused, with a dtype of their own.
    """
    config = plan.config.encoding.trunk
    earlier = _earlier_choice(plan)
    wanted = config.use != "off" if earlier is None else earlier
    layers = layer_dtype(str(plan.config.trainer.get("precision", "auto"))) if fused else None
    choice = Trunk()
    if wanted:
        try:
            _check(plan, network)
            passes = _passes(plan, data)
            tokens = {split: int(lengths_of(data.splits[split]).sum()) for split in passes}
            if config.use == "on" or earlier or pays(passes, tokens, is_shared=are_many()):
                choice = _made(plan, data, network, task, list(passes), device, precision, layers)
        except (_Unusable, OSError) as problem:
            reason = str(problem) if isinstance(problem, _Unusable) else f"the disk said: {problem.strerror or problem}"
            asked = config.use == "on" or bool(earlier) or isinstance(problem, OSError)
            choice = Trunk(note=f"states are not kept: {reason}", is_refusal=True) if asked else Trunk()
    _keep_choice(plan, choice.beginning is not None)
    return choice


def say_trunk(trunk: Trunk) -> None:
    """The line of the run's output."""
    if trunk.note:
        say(f"  trunk    {trunk.note}", style="yellow" if trunk.is_refusal else None)


def _check(plan: Plan, network: Any) -> None:
    """Raise where kept states cannot be right; first what the configuration tells."""
    config, trainer = plan.config, plan.config.trainer
    changed = [name for name, (method, options) in plan.retention.items() if method.changes_input and options.in_force]
    reasons = {
        "no layer is frozen from beginning to end (tuning.frozen_layers)": not plan.frozen_layers,
        "the frozen layers' weights are drawn anew by each seed (model.random_init)": config.model.random_init,
        f"a {plan.architecture.model_type} model cannot begin at a layer": not begins(plan.architecture.model_type),
        "a model may do anything by its own code (model.trust_remote_code)": config.model.trust_remote_code,
        f"task={plan.task.name} does not read its inputs as they are encoded": plan.head not in ROW_HEADS,
        f"retention {', '.join(changed)} changes what goes into the frozen layers": bool(changed),
        "several processes train together": _together(trainer),
    }
    for reason, holds_here in reasons.items():
        if holds_here:
            raise _Unusable(reason)
    beneath = frozen_modules(network, plan.frozen_layers)
    if any(parameter.requires_grad for module in beneath for parameter in module.parameters()):
        raise _Unusable("something in the frozen layers learns")
    if any(adapter_layers(module) for module in beneath):
        raise _Unusable("there are adapters in the frozen layers")


def _together(trainer: dict[str, Any]) -> bool:
    devices = trainer.get("devices", "auto")
    alone = devices in (1, "1") or (devices in ("auto", -1, "-1") and torch.cuda.device_count() < 2)
    return (
        not alone or int(trainer.get("num_nodes") or 1) > 1 or str(trainer.get("strategy")).startswith(MANY_PROCESSES)
    )


def _passes(plan: Plan, data: GuidedDataModule) -> dict[str, float]:
    """How often the run reads each of its splits; those that it reads at all."""
    trainer, weak = plan.config.trainer, plan.config.guidance.weak
    batches = data.batches_per_epoch()
    epochs = total_steps(trainer, batches) / steps_of_epoch(trainer, batches) if batches else 0.0
    before = float(plan.task.shows_before)
    found = {
        data.learn_from: epochs,
        "validation": epochs + 1 + before,
        "test": 1 + before,
        "weak": float(weak.warmup_epochs) if data.learn_from != "weak" else epochs,
    }
    return {split: often for split, often in found.items() if often and len(data.splits.get(split, ()))}


def _made(
    plan: Plan, data: GuidedDataModule, network: Any, task: Task, splits: list[str], device: torch.device,
    precision: str, layers: torch.dtype | None,
) -> Trunk:  # fmt: skip
    if precision not in _ARITHMETICS:
        raise _Unusable(f"trainer.precision={precision} changes the layers when the training begins")
    config = plan.config.encoding
    network.to(device)
    maker = Maker(
        Beginning(network, plan.frozen_layers), lambda batch: task.output.forward(network, batch), device, precision
    )
    places = {split: starts(data.splits[split]) for split in splits}
    names = {split: _name(plan, data.splits[split], f"{layers} {precision} {device.type}", network) for split in splits}
    tried = f"{names[splits[0]]} {task.name}"
    row = int(lengths_of(data.splits[splits[0]]).argsort()[len(data.splits[splits[0]]) // 2])  # of middle length
    given = _AGREED.get(tried) or _dtype(maker, data.dataset(splits[0]), row)
    stored = torch.bfloat16 if torch.bfloat16 in (given, layers) or precision[:4] == "bf16" else torch.float32
    width = int(network.config.hidden_size)
    shapes = {split: Shape(int(places[split][-1]), width, stored, given) for split in splits}
    root = _root(data)
    _find_room(root, shapes, names, int(config.trunk.limit_gib * _GIB))
    began, found, states = time.monotonic(), True, {}
    for split in splits:
        make = partial(fill, maker, data.dataset(split), f"frozen layers, {split}")
        states[split], was_there = opened(root, names[split], shapes[split], places[split], make)
        found = found and was_there
    if tried not in _AGREED and not maker.agrees(data.dataset(splits[0]), states[splits[0]], row):
        raise _Unusable("this network does not answer alike with its kept states")
    _AGREED[tried] = given
    data.states = states
    examples = sum(len(data.splits[split].records) for split in splits)
    size = sum(shape.size for shape in shapes.values())
    how = "found" if found else f"made in {duration(time.monotonic() - began)}"
    depth = f"{plan.frozen_layers} layer{'s' if plan.frozen_layers > 1 else ''}"
    # A head's products are too small to be divided: threads would wait for each other most of the time.
    alone = (
        plan.frozen_layers == len(layers_of(network)) and device.type == "cpu" and plan.config.speed.threads == "auto"
    )
    said = f"cache: {depth} of {examples:,} examples, {size / _MB:,.1f} MB, {how}"
    return Trunk(maker.beginning, said, threads=1 if alone else None)


def _dtype(maker: Maker, dataset: EncodedDataset, row: int) -> torch.dtype:
    """In which the frozen layers give their states."""
    try:
        return maker.states(dataset.__getitems__([row])).dtype
    except ValueError as error:
        raise _Unusable(str(error)) from None


def _root(data: GuidedDataModule) -> Path:
    """Where states are kept; without a cache (``encoding.cache=false``) as long as the run."""
    if data.encoding.cache:
        return cache_dir() / "trunk"
    data.states_folder = tempfile.TemporaryDirectory(prefix="rag_lightning-trunk-")
    return Path(data.states_folder.name)


def _find_room(root: Path, shapes: dict[str, Shape], names: dict[str, str], limit: int) -> None:
    size = sum(shape.size for shape in shapes.values())
    if size > limit:
        raise _Unusable(
            f"they would take {size / _GIB:.1f} GiB, more than encoding.trunk.limit_gib={limit / _GIB:g} allows"
        )
    needed = sum(shapes[split].size for split, name in names.items() if not holds(root, name))
    make_room(root, needed, limit, keep=set(names.values()))
    if needed > (free := shutil.disk_usage(root).free):
        raise _Unusable(f"they would take {needed / _GIB:.1f} GiB, and the disk has {free / _GIB:.1f} GiB left")


def _name(plan: Plan, split: EncodedSplit, numerics: str, network: Any) -> str:
    """The fingerprint of all that the states of a split depend on."""
    ids = hashlib.sha256()
    for column in ("input_ids", "token_type_ids", "text_start"):  # the last says where a pair's second text begins
        if column in split.table.column_names:
            ids.update(column.encode())
            for chunk in split.table.column(column).chunks:
                ids.update(_content(chunk))
    attention = getattr(network.config, "_attn_implementation", None)
    parts = {
        "version": __version__, "transformers": transformers.__version__, "torch": torch.__version__,
        "model": plan.model.fingerprint, "layers": plan.frozen_layers, "inputs": ids.hexdigest(),
        "numerics": numerics, "attention": attention,
    }  # fmt: skip
    return fingerprint(parts)


def _content(chunk: Any) -> bytes:
    if not hasattr(chunk, "offsets"):
        return bytes(chunk.to_numpy().tobytes())
    return bytes(chunk.offsets.to_numpy().tobytes() + chunk.values.to_numpy().tobytes())


def _earlier_choice(plan: Plan) -> bool | None:
    """Whether states were kept when a run that goes on was interrupted; None: it begins."""
    checkpoints = plan.folder / "checkpoints"
    if not any(checkpoints.rglob("*.ckpt")) and not any(checkpoints.rglob("*.safetensors")):
        return None
    try:
        return bool(json.loads((checkpoints / CHOICE).read_text(encoding="utf-8"))["kept"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep_choice(plan: Plan, kept: bool) -> None:
    if is_rank_zero():
        (plan.folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        write_json(plan.folder / "checkpoints" / CHOICE, {"kept": kept})
