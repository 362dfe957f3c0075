"""A sweep's question for ``wandb sweep`` and ``wandb agent``."""

import re
from collections.abc import Sequence
from fnmatch import fnmatch
from typing import Any

import yaml

from rag_lightning.config.explain import options_of
from rag_lightning.config.overrides import hydra_value
from rag_lightning.errors import UserError
from rag_lightning.sweep.record import Question

SWEEP_YAML = "wandb-sweep.yaml"
_MODULE = "rag_lightning.train"
# Of the sweep itself, which W&B's agents do instead, and names that W&B gives.
_NOT_OF_A_TRIAL = re.compile(
    r"[+~]*(hydra[./]|hydra$|sweep[.=]|dry_run=|logger=|output_dir=|run\.|logger\.\w+\.offline=)"
)


def sweep_yaml(question: Question, method: str = "auto") -> str:
    """The file that ``wandb sweep`` reads, with how to use it at its top.

    Args:
        method: ``grid``, ``random``, ``bayes``, or ``auto``: as the sweep itself asked.

    Raises:
        UserError: for a range in a grid, or values that cannot be read.
    """
    parameters = {key: parameter(key, typed) for key, typed in question.swept.items()}
    chosen = _method(question, parameters) if method == "auto" else method
    ranges = [key for key, found in parameters.items() if "values" not in found]
    if chosen == "grid" and ranges:
        raise UserError(
            f"{ranges[0]} is a range, which a grid cannot go through",
            where="wandb_sweep",
            remedy="Set wandb_sweep=bayes or wandb_sweep=random.",
        )
    config = {
        "name": question.name,
        "program": _MODULE,  # W&B's agents ask for one; the command below is what they run
        "method": chosen,
        "metric": {
            "name": f"validation/{question.headline}",
            "goal": "minimize" if question.lower_is_better else "maximize",
        },
        **({} if chosen == "grid" else {"run_cap": max(1, question.total)}),
        "parameters": parameters,
        "command": ["${env}", "${interpreter}", "-m", _MODULE, *_words(question), "${args_no_hyphens}"],
    }
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=120)
    return (
        f"# wandb sweep {SWEEP_YAML}      prints the sweep's id\n"
        "# wandb agent ENTITY/PROJECT/ID       takes trials, on as many machines as you like\n"
        "# Agents write into a folder of their own: a trial that is found done would show nothing in W&B.\n"
        f"{text}"
    )


def parameter(key: str, typed: str) -> dict[str, Any]:
    """W&B's description of a swept key's values or range.

    Raises:
        UserError: if they cannot be read.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, RangeSweep
    from hydra.errors import HydraException

    try:
        value = OverridesParser.create().parse_override(f"{key}={typed}").value()
    except HydraException as error:
        reason = f"{typed!r} cannot be read ({str(error).splitlines()[0]})"
        raise UserError(reason, where=key, remedy="Write a,b,c or interval(low, high).") from None
    if isinstance(value, IntervalSweep) and value.start is not None and value.end is not None:
        return _range(value.start, value.end, logarithmic="log" in value.tags)
    if isinstance(value, RangeSweep):
        return {"values": list(value.range())}
    if isinstance(value, Glob):
        return {"values": _options(key, value.include, value.exclude)}
    return {"values": [_value(each) for each in (value.list if isinstance(value, ChoiceSweep) else [value])]}


def _range(low: float, high: float, *, logarithmic: bool) -> dict[str, Any]:
    if isinstance(low, int) and isinstance(high, int):
        whole = {"distribution": "q_log_uniform_values", "q": 1} if logarithmic else {"distribution": "int_uniform"}
        return {**whole, "min": low, "max": high}
    kind = "log_uniform_values" if logarithmic else "uniform"
    return {"distribution": kind, "min": float(low), "max": float(high)}


def _options(key: str, include: Sequence[str], exclude: Sequence[str]) -> list[str]:
    names = options_of(key.lstrip("+~").partition("@")[0])
    wanted = (name for name in names if any(fnmatch(name, pattern) for pattern in include))
    return [name for name in wanted if not any(fnmatch(name, pattern) for pattern in exclude)]


def _value(value: Any) -> Any:
    """A number as it is, all else as it is typed: agents put it behind ``key=`` as it stands."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else hydra_value(_plain(value))


def _plain(value: Any) -> Any:
    """Without the quotes that Hydra's parser keeps."""
    if hasattr(value, "quote"):
        return value.text
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {_plain(k): _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def _method(question: Question, parameters: dict[str, dict[str, Any]]) -> str:
    sweeper = next((w.partition("=")[2] for w in reversed(question.command) if w.startswith("hydra/sweeper=")), "")
    if "random" in sweeper:
        return "random"
    has_range = any("values" not in found for found in parameters.values())
    return "bayes" if has_range or "optuna" in sweeper else "grid"


def _words(question: Question) -> list[str]:
    """What all trials share, for an agent."""
    typed = {word.partition("=")[0]: word.partition("=")[2] for word in question.fixed}
    logger = typed.get("logger", "wandb")
    folder = f"{typed.get('output_dir', 'runs')}/wandb-agents"
    shared = [word for word in question.fixed if not _NOT_OF_A_TRIAL.match(word)]
    return [*shared, f"logger={logger if logger in ('wandb', 'many') else 'wandb'}", f"output_dir={folder}"]
