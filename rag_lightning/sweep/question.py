"""What was typed behind ``-m``: what all trials share, and the keys that are swept with their values or ranges."""

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rag_lightning.config.fingerprint import HOW_IT_IS_RUN
from rag_lightning.errors import UserError
from rag_lightning.sweep.record import key_of

# What is said to the sweep and not to a trial.
_OF_THE_SWEEP = ("sweep", "dry_run", "force")


@dataclass(frozen=True)
class Dimension:
    """A swept key: values to choose from, or a range of numbers.

    Attributes:
        key: as typed, with ``+`` where the key is added.
        typed: its values, as typed.
        choices: the values, as on the command line; empty for an interval.
        low, high: of an interval (both included), or of an integer range with its ``step``.
        log: whether a range is drawn from evenly in its logarithm.
        whole: only whole numbers.
    """

    key: str
    typed: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    step: int = 1

    @property
    def is_interval(self) -> bool:
        return not self.choices


@dataclass(frozen=True)
class Typed:
    """The words behind ``-m``, without those of Hydra: in their order, fixed ones as they are."""

    words: tuple[str | Dimension, ...]

    @property
    def fixed(self) -> tuple[str, ...]:
        return tuple(word for word in self.words if isinstance(word, str))

    @property
    def swept(self) -> tuple[Dimension, ...]:
        return tuple(word for word in self.words if isinstance(word, Dimension))

    def overrides(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """A trial's overrides, where the swept keys have these values; further values are put at the end."""
        places = [word if isinstance(word, str) else f"{word.key}={values[word.key]}" for word in self.words]
        known = {dimension.key for dimension in self.swept}
        return (*places, *(f"{key}={value}" for key, value in values.items() if key not in known))


@dataclass(frozen=True)
class Trial:
    """One run that is asked for: its place in the sweep, all its overrides, and those of the swept keys."""

    number: int
    overrides: tuple[str, ...]
    values: Mapping[str, str]

    @property
    def key(self) -> str:
        return key_of(self.overrides)


def read_typed(words: Sequence[str], config_loader: Any = None) -> Typed:
    """Tell what is fixed from what is swept.

    Args:
        config_loader: Hydra's, which knows the options that ``glob(*)`` means.

    Raises:
        UserError: for a sweep without values.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create(config_loader=config_loader).parse_overrides(list(words))
    last = {override.get_key_element(): override for override in parsed}  # of a key typed twice the last word counts
    kept: list[str | Dimension] = []
    for key, override in last.items():
        if key.lstrip("+~").partition(".")[0] in _OF_THE_SWEEP:
            if override.is_sweep_override():
                raise UserError("this is said once for all trials", where=key, remedy="Give it one value.")
        elif override.is_sweep_override():
            kept.append(_dimension(key, override))
        else:
            kept.append(str(override.input_line))
    return Typed(tuple(kept))


def _dimension(key: str, override: Any) -> Dimension:
    typed = override.input_line.partition("=")[2]
    value = override.value()
    tags = {str(tag) for tag in getattr(value, "tags", ())}
    if override.is_interval_sweep():
        low, high, whole = value.start, value.end, isinstance(value.start, int)
        if not (low < high and math.isfinite(low) and math.isfinite(high)) or ("log" in tags and low <= 0):
            remedy = "Write interval(low, high), such as interval(1e-5,1e-3); tag(log, …) needs low > 0."
            raise UserError(f"{typed} is no range", where=key, remedy=remedy)
        return Dimension(key, typed, low=low, high=high, log="log" in tags, whole=whole)
    if getattr(value, "shuffle", False):  # the same command shall mean the same trials
        override = replace(override, _value=replace(value, shuffle=False))
    choices = tuple(dict.fromkeys(map(str, override.sweep_string_iterator())))
    if not choices:
        raise UserError(f"{typed} has no value", where=key, remedy="Write at least one.")
    numbers = [int(choice) for choice in choices] if all(re.fullmatch(r"-?\d+", c) for c in choices) else []
    if override.is_range_sweep() and len(numbers) > 1:
        return Dimension(
            key, typed, choices, numbers[0], numbers[-1], "log" in tags, whole=True, step=numbers[1] - numbers[0]
        )
    return Dimension(key, typed, choices)


def product(typed: Typed) -> Iterator[Mapping[str, str]]:
    """All combinations of the swept values, the last key fastest.

    Raises:
        UserError: if a key has a range without end.
    """
    for dimension in typed.swept:
        if dimension.is_interval:
            raise UserError(
                f"{dimension.typed} holds more values than can be tried one by one",
                where=dimension.key,
                remedy="Draw from it with hydra/sweeper=random or hydra/sweeper=optuna, or write values.",
            )
    keys = [dimension.key for dimension in typed.swept]
    for values in itertools.product(*(dimension.choices for dimension in typed.swept)):
        yield dict(zip(keys, values, strict=True))


def trials_of(typed: Typed, candidates: Sequence[Mapping[str, str]]) -> list[Trial]:
    """A trial for each set of values; one that is asked for twice is one."""
    trials: dict[str, Trial] = {}
    for values in candidates:
        trial = Trial(len(trials), typed.overrides(values), values)
        trials.setdefault(trial.key, trial)
    return list(trials.values())


def with_seeds(candidates: Sequence[Mapping[str, str]], seeds: Sequence[int]) -> list[Mapping[str, str]]:
    """Each candidate once with each seed."""
    return [{**values, "seed": str(seed)} for values in candidates for seed in seeds] if seeds else list(candidates)


def name_of(typed: Typed, task: str) -> str:
    """For people: the task and what is swept."""
    last = [re.split(r"[./@]", dimension.key.lstrip("+~"))[-1] for dimension in typed.swept]
    return "-".join([task, *dict.fromkeys(last)])[:60]


def asked_of(typed: Typed) -> tuple[list[str], list[str]]:
    """The fixed and the swept words, sorted, without those that change only how it is computed."""
    fixed = sorted(word for word in typed.fixed if not _is_how(word))
    return fixed, sorted(f"{dimension.key}={dimension.typed}" for dimension in typed.swept)


def folder_of(typed: Typed, task: str, output_dir: Path, way: Mapping[str, Any]) -> Path:
    """Where the sweep's records lie: the same for the same question, however it is computed.

    Args:
        way: the sweeper, and those of its settings that change which trials it asks for.
    """
    text = json.dumps([*asked_of(typed), dict(way)], sort_keys=True)
    print_of_question = hashlib.sha256(text.encode()).hexdigest()[:8]
    return output_dir / "sweeps" / f"{name_of(typed, task)}-{print_of_question}"


def _is_how(word: str) -> bool:
    key = word.partition("=")[0].lstrip("+~")
    return any(key == out or key.startswith(f"{out}.") for out in HOW_IT_IS_RUN)
