"""``python -m rag_lightning.rules check | report | try``: what each does."""

from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig
from pydantic import BaseModel, ConfigDict, Field

from rag_lightning.config.compose import group_choices
from rag_lightning.config.paths import conf_dir
from rag_lightning.config.validate import parse, to_plain
from rag_lightning.data.options import DataConfig
from rag_lightning.errors import UserError
from rag_lightning.rules.load import load_rules
from rag_lightning.rules.ruleset import RuleSet

# What a task's YAML sets for the training, of which nothing is read here.
BROUGHT = ("model", "template", "generation", "optimizer", "scheduler", "tuning", "guidance", "batching", "trainer")


class RulesCommand(BaseModel):
    """The settings of the command."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: Literal["check", "report", "try"]
    path: str | None = Field(None, description="the rule file; or rules=NAME for one of those that come along")
    rules: dict[str, Any] = Field(default_factory=dict)
    text: str | None = Field(None, description="of try; null: lines of standard input")
    data: DataConfig | None = Field(None, description="of report: labelled examples")
    task: dict[str, Any] = Field(default_factory=dict, description="of report: how the examples are labelled")
    split: Literal["train", "validation", "test"] = Field("train", description="of report")
    limit: int | None = Field(None, ge=1, description="of report: examples, drawn at random; null: all")
    worst: int = Field(3, ge=0, description="of report: wrong examples shown for each rule")
    seed: int = Field(1, ge=0, description="of the draw")


def run_command(config: DictConfig, text: str | None = None) -> None:
    """Carry out ``check``, ``report`` or ``try``.

    Args:
        text: of ``try``, instead of the configuration's.

    Raises:
        UserError: for a mistake in the rule file, the data or the settings.
    """
    settings = parse(RulesCommand, {key: value for key, value in to_plain(config).items() if key not in BROUGHT})
    ruleset, name = rules_of(settings, rules_origin(config))
    from rag_lightning.rules import showing  # rich takes longer to import than a refusal should take

    if settings.command == "check":
        showing.check(ruleset, name)
    elif settings.command == "try":
        showing.try_texts(ruleset, settings.text if text is None else text)
    else:
        from rag_lightning.rules.reporting import report

        report(ruleset, name, settings)


def rules_of(settings: RulesCommand, origin: Path | None) -> tuple[RuleSet, str]:
    """The rule set that is asked for, and what to call it."""
    node = dict(settings.rules)
    if settings.path is not None:
        node["path"] = settings.path if node.get("path") is None else node["path"]
        origin = None
    ruleset = load_rules(node, origin)
    if not ruleset:
        raise UserError("no rules are named", where="path", remedy="Add path=FILE.yaml, or rules=NAME.")
    return ruleset, str(node.get("path") or origin or "rules")


def rules_origin(config: DictConfig) -> Path | None:
    """The file of ``conf/rules`` that a configuration's ``rules`` node was composed of, if it tells."""
    choice = group_choices(config).get("rules")
    path = conf_dir() / "rules" / f"{choice}.yaml"
    return path if choice and path.is_file() else None
