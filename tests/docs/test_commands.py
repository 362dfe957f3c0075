"""Every command that README, docs and studies show is one that the configuration takes."""

import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pages import CHINESE, PAGES, README, REPOSITORY, RUN_WHOLE, Typed, blocks, commands, name_of, shell_lines, typed

from rag_lightning.config.compose import compose
from rag_lightning.config.paths import conf_dir
from rag_lightning.config.validate import parse, to_plain, validate_train
from rag_lightning.sweep.question import read_typed

COMPOSED = [page for page in PAGES if name_of(page) not in RUN_WHOLE]


def config_of(module: str) -> str:
    """The configuration of ``python -m rag_lightning.MODULE``."""
    return next(name for name in (module, f"{module}_run") if (conf_dir() / f"{name}.yaml").is_file())


def schema_of(name: str) -> Any:
    """The model that a command's configuration is checked by: ``<Name>Config``; None where there is no such model."""
    wanted = "".join(part.capitalize() for part in name.split("_")) + "Config"
    for module in ("rag_lightning.config.schema", f"rag_lightning.{name}.options"):
        try:
            model = getattr(import_module(module), wanted, None)
        except ModuleNotFoundError:
            continue
        if model is not None:
            return model
    return None


def one_trial(words: list[str]) -> list[str]:
    """Of a sweep what all trials share, with the first value of each swept key."""
    asked = read_typed([word for word in words if word not in ("-m", "--multirun")])
    assert asked.swept, "nothing is swept"
    firsts = [f"{d.key}={d.choices[0] if d.choices else d.low}" for d in asked.swept]
    return [*(word for word in asked.fixed if not word.startswith("hydra")), *firsts]


@cache  # the two READMEs show the same
def check(command: Typed) -> None:
    """Raise for a group, key or value that there is not."""
    name, words = config_of(command.module), list(command.words)
    if command.module == "rules":
        words = [f"command={words[0]}", *(word for word in words[1:] if not word.startswith("text="))]
    if {"-m", "--multirun"} & set(words):
        words = one_trial(words)
    composed = compose(name, words)
    if name == "train":
        validate_train(composed)
    elif (schema := schema_of(name)) is not None:
        parse(schema, to_plain(composed))


@pytest.mark.parametrize("page", [page for page in COMPOSED if commands(page)], ids=name_of)
def test_every_command_of_a_page_is_taken(page: Path) -> None:
    wrong = []
    for line, command in commands(page):
        try:
            check(command)
        except Exception as mistake:  # all of them in one go
            wrong.append(f"{name_of(page)}, block at line {line}: {' '.join(command.words)}\n  {mistake}")
    assert not wrong, "\n".join(wrong)


def test_a_wrong_command_is_found() -> None:
    for line in (
        "python -m rag_lightning.train optimizer.learning_rate=1",
        "python -m rag_lightning.train batching.size=none",
        "python -m rag_lightning.train task=nerr   # a remark",
        "echo a | python -m rag_lightning.predict run=FOLDER inputs=-",
        "python -m rag_lightning.train -m tuning.frozen_layer=0,2",
        "python -m rag_lightning.monitor run=FOLDER alert.odds=often",
    ):
        command = typed(next(shell_lines(line)))
        assert command is not None
        with pytest.raises(Exception, match="."):
            check(command)


def test_scripts_and_folders_that_commands_name_are_there() -> None:
    for page in PAGES:
        for block in blocks(page):
            if block.language == "bash":
                for word in (word for line in shell_lines(block.code) for word in line.split()):
                    if word.startswith(("experiments/", "conf/", "docs/")):
                        assert (REPOSITORY / word).exists(), f"{name_of(page)}, line {block.line}: {word}"


def test_the_readmes_show_the_same_commands_and_link_to_each_other() -> None:
    def shown(page: Path) -> list[tuple[str, list[str]]]:
        return [(block.language, list(shell_lines(block.code))) for block in blocks(page) if block.language != "json"]

    def code_only(page: Path) -> list[tuple[str, list[str]]]:
        return [each for each in shown(page) if each[0] in ("bash", "python")]

    assert code_only(CHINESE) == code_only(README)
    assert f"]({CHINESE.name})" in README.read_text(encoding="utf-8").partition("\n#")[0]
    assert f"]({README.name})" in CHINESE.read_text(encoding="utf-8").partition("\n#")[0]


def test_the_readmes_quote_the_same_figures() -> None:
    def figures(page: Path) -> list[str]:
        text = page.read_text(encoding="utf-8")
        rows = [line for line in text.splitlines() if line.startswith("|") and "experiments/" in line]
        return [",".join(sorted(re.findall(r"\d+\.\d+|\d+,\d+", row))) for row in rows]

    assert figures(CHINESE) == figures(README)
