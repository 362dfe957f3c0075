"""A run is named by what it is: the hash of everything that changes its result."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

# Keys that change where and how fast a run is computed, or how it is shown, but not its result …
HOW_IT_IS_RUN = {
    "output_dir", "run", "force", "dry_run", "sweep", "logger",
    "batching.workers", "batching.eval_tokens", "encoding.cache",
    "encoding.trunk.use", "encoding.trunk.limit_gib",
    "checkpoint.every_seconds", "checkpoint.every_steps", "checkpoint.keep",
    "trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy",
    "trainer.enable_progress_bar", "trainer.profiler", "trainer.log_every_n_steps",
    "trainer.benchmark", "trainer.enable_model_summary", "trainer.plugins",
}  # fmt: skip
# … those whose content counts instead, and what is measured beside the training.
NO_PART_OF_A_RUN = HOW_IT_IS_RUN | {
    "data.path", "data.unlabelled", "general_text.path", "model.path",
    "rules", "template.name", "template.context.path", "probe",
}  # fmt: skip


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys; lists stay whole."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            flat.update(flatten(value, f"{dotted}."))
        else:
            flat[dotted] = value
    return flat


def identity(
    config: dict[str, Any], data: str, model: str, guidance: str = "", idle: Iterable[str] = ()
) -> dict[str, Any]:
    """What a run is: its settings, and the content of its data, model, rules and template instead of their paths.

    Args:
        idle: keys of settings that have no effect in this run.
    """
    no_part = NO_PART_OF_A_RUN.union(idle)
    kept = {
        key: value
        for key, value in flatten(config).items()
        if not any(key == out or key.startswith(f"{out}.") for out in no_part)
    }
    return {**kept, "data.content": data, "model.content": model, "guidance.content": guidance}


def fingerprint(identity: dict[str, Any]) -> str:
    """Sixteen hexadecimal digits for an identity, equal on every machine and Python version."""
    text = json.dumps(identity, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(config: dict[str, Any], default: dict[str, Any]) -> dict[str, Any]:
    """The settings that differ from the defaults, as dotted keys.

    As on the command line, ``+key`` is one that the defaults do not have and ``~key`` one that was taken away.
    """
    flat, base = flatten(config), flatten(default)
    changed = {key if key in base else f"+{key}": v for key, v in flat.items() if key not in base or base[key] != v}
    parents = {key[:place] for key in flat for place, sign in enumerate(key) if sign == "."}
    filled = {key for key, value in base.items() if value == {} or key in parents}  # with a mapping: no loss
    return changed | {f"~{key}": None for key in base if key not in flat and key not in filled}
