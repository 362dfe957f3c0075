"""A YAML text as plain data, and at which line and column each key and value stands."""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from rag_lightning.errors import UserError

Path = tuple[Any, ...]  # keys and numbers that lead to a value


class _Loader(yaml.SafeLoader):
    """YAML as people expect it: only true and false are truth values, no dates, 007 and 12:30 are words."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _form, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", r"^[-+]?[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?$", "-+0123456789"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("merge", r"^<<$", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_form), list(_first))


@dataclass(frozen=True)
class Places:
    """Where the parts of a document stand.

    Attributes:
        name: the file as messages show it, or the configuration's key where the document has no file.
        keys: path -> (line, column) of the key, or of the item of a list; counted from 1.
        values: path -> (line, column) of the value.
    """

    name: str
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def where(self, path: Path, *, key: bool = False) -> str:
        """``file:line:column`` of the value (or key) at ``path``, or of the nearest thing around it."""
        known: Path = ()
        for part in path:  # short forms leave out parts that the model has
            if (*known, part) in self.values:
                known = (*known, part)
        places = self.keys if key else self.values
        if known not in places or (key and known[-1] != path[-1]):  # it was set elsewhere, as on the command line
            return ".".join(["rules", *map(str, path)])
        line, column = places[known]
        return f"{self.name}:{line}:{column}"


def read_yaml(text: str, name: str) -> tuple[Any, Places]:
    """The data of a YAML text and their places.

    Raises:
        UserError: with line and column, if it is no YAML, or a key stands twice.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, Places(name)
        places = Places(name)
        _note(node, (), places, set())
        return loader.construct_document(node), places
    except yaml.MarkedYAMLError as error:
        raise _unreadable(error, name) from None
    except yaml.YAMLError as error:
        raise UserError(f"this is no YAML ({str(error).splitlines()[0]})", where=name, remedy="Correct it.") from None
    finally:
        loader.dispose()


def _note(node: yaml.Node, path: Path, places: Places, around: set[int]) -> None:
    places.values.setdefault(path, _place(node))
    if id(node) in around:
        raise yaml.constructor.ConstructorError(None, None, "the value contains itself", node.start_mark)
    inside = around | {id(node)}
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            places.keys[*path, number] = _place(item)
            _note(item, (*path, number), places, inside)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = int(key.value) if key.tag.endswith(":int") else key.value
            if (*path, name) in places.keys:
                first = places.keys[*path, name][0]
                problem = f"the key {name!r} stands twice, first in line {first}"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            places.keys[*path, name] = _place(key)
            _note(value, (*path, name), places, inside)


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _unreadable(error: yaml.MarkedYAMLError, name: str) -> UserError:
    mark = error.problem_mark or error.context_mark
    where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark is not None else name
    problem = error.problem or "this is no YAML"
    if "escape" in problem:
        remedy = "Put patterns in 'single quotes', in which a backslash is a backslash."
    elif "stands twice" in problem:
        remedy = "Give one of them another name, or join the two."
    elif "cannot start any token" in problem or "mapping values" in problem or "alias" in problem:
        remedy = "Put words with special signs in 'quotes', and a space behind each colon."
    else:
        remedy = "Check indentation, brackets and quotes around this place."
    return UserError(f"this is no YAML: {problem}", where=where, remedy=remedy)
