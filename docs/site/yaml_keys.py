"""The keys of a yaml of conf/ with their values, and the remarks beside them, as its text has them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import yaml

PACKAGE = "# @package"  # Hydra's own word in the first line


@dataclass(frozen=True)
class Key:
    """A dotted key, its value as written (empty for a key that only has keys below it), and its remark."""

    name: str
    value: str
    remark: str


@dataclass(frozen=True)
class Config:
    """A yaml of conf/.

    Attributes:
        path: of the file.
        is_global: its keys stand at the top of the configuration, not below the group's name.
        told: the sentences of its header, a line each; ``commands`` are those that it shows.
    """

    path: Path
    is_global: bool
    told: list[str]
    commands: list[str]
    keys: list[Key]

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def summary(self) -> str:
        return self.told[0] if self.told else ""


def read_config(path: Path) -> Config:
    """The header and keys of a yaml."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    is_global = bool(lines) and lines[0].startswith(PACKAGE)
    header = [line.removeprefix("#") for line in takewhile(lambda each: each.startswith("#"), lines[is_global:])]
    commands = [line.strip() for line in header if line.startswith("   ")]
    told = [line.strip() for line in header if not line.startswith("   ")]
    node = yaml.compose(text)
    keys = list(_keys(node, lines)) if isinstance(node, yaml.MappingNode) else []
    return Config(path, is_global, told, commands, [key for key in keys if not _of_hydra(key.name)])


def _of_hydra(name: str) -> bool:
    return name.partition(".")[0] in ("defaults", "hydra")


def _keys(node: yaml.MappingNode, lines: list[str], prefix: str = "") -> Iterator[Key]:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        below = isinstance(value, yaml.MappingNode) and value.value and not value.flow_style
        if below:
            yield Key(name, "", _remark(lines[key.start_mark.line], key.end_mark.column))
            yield from _keys(value, lines, f"{name}.")
        else:
            yield Key(name, _written(value, lines), _remark(lines[_last_line(value)], _last_column(value)))


def _last_line(value: yaml.Node) -> int:
    """The line on which a value ends; a block's mark stands at the beginning of the line behind it."""
    return value.end_mark.line if value.end_mark.column else max(value.start_mark.line, value.end_mark.line - 1)


def _last_column(value: yaml.Node) -> int:
    return value.end_mark.column if value.end_mark.column else 0


def _remark(line: str, column: int) -> str:
    found = re.search(r"(?:^|\s)#\s(.*)$", line[column:])
    return found[1].strip() if found else ""


def _written(value: yaml.Node, lines: list[str]) -> str:
    if isinstance(value, yaml.ScalarNode) and value.style in ("|", ">"):
        return " ".join(value.value.split())
    if isinstance(value, yaml.CollectionNode) and not value.flow_style:
        return "…" if value.value else str(value.tag)
    start, end = value.start_mark, value.end_mark
    if start.line == end.line:
        return lines[start.line][start.column : end.column]
    parts = [lines[start.line][start.column :], *lines[start.line + 1 : end.line], lines[end.line][: end.column]]
    return " ".join(part.strip() for part in parts)
