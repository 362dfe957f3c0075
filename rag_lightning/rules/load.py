"""From the ``rules`` node of the configuration, or a file, to a :class:`RuleSet`; every mistake with its place."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rag_lightning.data.text import read_text
from rag_lightning.errors import UserError, nearest
from rag_lightning.rules.lexicons import read_lexicon
from rag_lightning.rules.places import Places, read_yaml
from rag_lightning.rules.read_rules import RuleReader
from rag_lightning.rules.ruleset import LabelInfo, Lexicon, RuleSet
from rag_lightning.rules.schema import RulesSpec
from rag_lightning.trials import kept


def load_rules(node: Mapping[str, Any] | None, origin: Path | None = None) -> RuleSet:
    """The rule set of a configuration.

    Args:
        node: the plain ``rules`` node: what a rule file says, or ``path`` of one; only ``path: null`` is no rules.
        origin: the file that the node was composed of, to name lines in messages and find lexicon files.

    Raises:
        UserError: for every mistake in it, with file, line and column.
    """
    values = {key: value for key, value in (node or {}).items() if value not in (None, {}, [], "")}
    path = values.pop("path", None)
    if path is not None and values:
        raise UserError(
            f"rules.path names a file, and the configuration holds rules too ({', '.join(map(str, values))})",
            where="rules",
            remedy="Choose one: rules=NAME or rules.path=FILE.",
        )
    if path is not None:
        return read_rules(Path(str(path)).expanduser())
    if not values:
        return RuleSet(fingerprint=_fingerprint({}))

    def build() -> RuleSet:
        places = _places_of(origin) if origin is not None else Places("rules")
        return _build(values, places, origin.parent if origin is not None else Path())

    return kept("rules", _state(values, origin), build)


def _state(values: Mapping[str, Any], origin: Path | None) -> str:
    """All that a rule set is made of: what a file of words holds is told by its size and time of change."""
    folder = origin.parent if origin is not None else Path()
    lexicons = values.get("lexicons") if isinstance(values.get("lexicons"), dict) else {}
    named = [
        folder / Path(str(spec[key])).expanduser()
        for spec in (lexicons or {}).values()
        if isinstance(spec, dict)
        for key in ("file", "csv")
        if spec.get(key)
    ]
    states = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in named if path.is_file()]
    return f"{origin} {json.dumps(values, default=str)} {states}"


def read_rules(path: Path) -> RuleSet:
    """The rule set of a YAML file.

    Raises:
        UserError: for every mistake in it, with file, line and column.
    """
    if not path.is_file():
        there = [entry.name for entry in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        close = nearest(path.name, there)
        remedy = f"Did you mean {path.parent / close[0]}?" if close else "Give the path of a YAML file."
        raise UserError(f"there is no rule file {path}", where="rules.path", remedy=remedy)
    try:
        text = read_text(path)
    except UserError as mistake:
        raise UserError(mistake.reason, where=mistake.where, remedy="Save the rule file as UTF-8 text.") from None
    values, places = read_yaml(text, str(path))
    if isinstance(values, dict):
        values.pop("path", None)  # null in the files of conf/rules
    if not values:
        raise UserError("the rule file says nothing", where=str(path), remedy="Write labels and rules in it.")
    if not isinstance(values, dict):
        raise UserError(
            "a rule file is a mapping with the keys description, labels, lexicons, rules, conflict",
            where=places.where(()),
            remedy="See docs/rules.md.",
        )
    return kept("rules", _state(values, path), lambda: _build(values, places, path.parent))


def _places_of(origin: Path) -> Places:
    """The places of a file that Hydra has composed already; none if it is gone or was composed of several."""
    try:
        return read_yaml(read_text(origin), str(origin))[1]
    except UserError:
        return Places("rules")


def _build(values: dict[Any, Any], places: Places, folder: Path) -> RuleSet:
    spec = _validated(values, places)
    lexicons = {
        name: read_lexicon(lexicon, folder, places.where(("lexicons", name))) for name, lexicon in spec.lexicons.items()
    }
    reader = RuleReader(spec, places, lexicons)
    rules = tuple(reader.read(name) for name in spec.rules)
    labels = {name: LabelInfo(info.name or name, info.description, info.examples) for name, info in spec.labels.items()}
    for rule in rules:  # a file without labels takes them from its rules
        for label in rule.labels:
            labels.setdefault(label, LabelInfo(label))
    node = _node(spec, lexicons)
    return RuleSet(
        spec.description, labels, rules, {**lexicons, **reader.inner_lexicons}, spec.conflict, _fingerprint(node), node
    )


def _validated(values: dict[Any, Any], places: Places) -> RulesSpec:
    try:
        return RulesSpec.model_validate(values)
    except ValidationError as error:
        mistakes = [_told(problem, places) for problem in error.errors()]
        if len(mistakes) == 1:
            raise mistakes[0] from None
        lines = "\n  ".join(dict.fromkeys(str(mistake) for mistake in mistakes))
        raise UserError(f"{len(mistakes)} mistakes\n  {lines.rstrip('.')}", where=places.name) from None


def _told(problem: Any, places: Places) -> UserError:
    """A sentence for one of pydantic's errors."""
    path = tuple(part for part in problem["loc"] if part != "[key]")
    if problem["type"] == "rules":  # a sentence of our own
        context = problem["ctx"]
        key = context["key"]
        where = places.where(path if key is None else (*path, key), key=key is not None)
        return UserError(context["reason"], where=where, remedy=context["remedy"] or None)
    name = ".".join(map(str, path))
    wanted = re.sub(r", (unable to|got) .*", "", problem["msg"].removeprefix("Input should be "))
    wanted = {"a valid dictionary": "a mapping of names", "a valid boolean": "true or false"}.get(wanted, wanted)
    wanted = re.sub(r"a valid dictionary or instance of \w+", "a mapping with keys", wanted)
    close = nearest(str(problem["input"]), re.findall(r"'([^']+)'", wanted))
    remedy = f"Did you mean {close[0]}?" if close else None
    return UserError(
        f"{name} must be {wanted}, not {_short(problem['input'])}", where=places.where(path), remedy=remedy
    )


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


def _node(spec: RulesSpec, lexicons: Mapping[str, Lexicon]) -> dict[str, Any]:
    """The rule file as plain data that depend on no other file."""
    node = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for name, lexicon in lexicons.items():
        node["lexicons"][name] = {
            "words": list(lexicon.entries),
            "case": lexicon.case,
            "inflect": ["possessive"] if lexicon.possessive else [],
        }
    return node


def _fingerprint(node: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(node, ensure_ascii=False).encode()).hexdigest()
