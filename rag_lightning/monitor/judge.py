"""Topic and sentiment of texts, by finished runs or by rules."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_lightning.errors import UserError, nearest
from rag_lightning.monitor.options import MonitorConfig
from rag_lightning.rules.ruleset import RuleSet
from rag_lightning.training.folder import RunFolder

TASK = "classification"
NO_TOPIC, ONE_TOPIC = "other", "all"  # where the rules say nothing; where nothing tells topics
Topics = Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a message is about, and how it sounds.

    Attributes:
        confidence: probability of the label.
    """

    topic: str
    label: str
    confidence: float


@dataclass(frozen=True)
class Judge:
    """Judges texts in batches.

    Attributes:
        labels: of the sentiment, in the model's order.
        identity: of what judges, for the state: messages of one folder are all judged alike.
    """

    labels: tuple[str, ...]
    identity: dict[str, str]
    judge: Callable[[Sequence[str]], list[Judged]]


def load_judge(config: MonitorConfig, ruleset: RuleSet) -> Judge:
    """The runs and rules of a configuration, loaded.

    Raises:
        UserError: for a run of another task, a label that the run does not know. All of this before a model is loaded.
    """
    if config.run is None:
        raise UserError("no run says the sentiment", where="run", remedy="Add run=FOLDER of a finished run.")
    labels, name = _checked(config.run, "run")
    if config.alert.label not in labels:
        close = nearest(config.alert.label, labels, 1)
        hint = f"Did you mean {close[0]}?" if close else f"It knows: {', '.join(labels)}."
        raise UserError(f"the run knows no label {config.alert.label!r}", where="alert.label", remedy=hint)
    by_topics = None if config.topics is None else _checked(config.topics, "topics")[1]
    _check_baselines(config, ruleset)
    sentiment = _predictor(config.run, config)
    topics = _topics(config, ruleset)

    def judge(texts: Sequence[str]) -> list[Judged]:
        answers = sentiment(texts)
        return [
            Judged(topic, answer["label"], float(answer["confidence"]))
            for topic, answer in zip(topics(texts), answers, strict=True)
        ]

    return Judge(tuple(labels), {"run": name, "topics": by_topics or ruleset.fingerprint}, judge)


def _topics(config: MonitorConfig, ruleset: RuleSet) -> Topics:
    if config.topics is not None:
        of_run = _predictor(config.topics, config)
        return lambda texts: [str(answer["label"]) for answer in of_run(texts)]
    if not ruleset:
        return lambda texts: [ONE_TOPIC for _ in texts]
    return by_rules(ruleset)


def by_rules(ruleset: RuleSet) -> Topics:
    """The label that the rules give each text, or ``other``."""
    from rag_lightning.rules.engine import RuleEngine
    from rag_lightning.rules.resolve import aggregate_label

    engine = RuleEngine(ruleset)
    return lambda texts: [aggregate_label(engine.apply_text(text), ruleset) or NO_TOPIC for text in texts]


def _check_baselines(config: MonitorConfig, ruleset: RuleSet) -> None:
    given = config.alert.baseline
    if not isinstance(given, dict):
        return
    if config.topics is not None:
        known = _checked(config.topics, "topics")[0]
    else:
        known = [*ruleset.labels, NO_TOPIC] if ruleset else [ONE_TOPIC]
    for topic in given:
        if topic not in known:
            close = nearest(topic, known)
            hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known)}."
            raise UserError(f"there is no topic {topic!r}", where="alert.baseline", remedy=hint)


def _checked(path: str, key: str) -> tuple[list[str], str]:
    """Labels and name of a finished run of one label for each text, by its folder alone.

    Raises:
        UserError: if it is none.
    """
    folder = RunFolder(Path(path).expanduser())
    plain, identity = folder.read_config()
    task: Any = plain.get("task")
    if not isinstance(task, dict) or task.get("name") != TASK or task.get("answer") == "labels":
        told = "of several labels for each text" if task and task.get("name") == TASK else "of another task"
        raise UserError(
            f"the run is {told}", where=key, remedy=f"Give a run of task={TASK} with one label for each text."
        )
    try:
        names = json.loads((folder.model / "config.json").read_text(encoding="utf-8"))["id2label"]
        labels = [str(names[number]) for number in sorted(names, key=int)]
    except (OSError, ValueError, KeyError):
        raise UserError(
            f"the run has no model yet (its state: {folder.status().get('state', 'unknown')})",
            where=key,
            remedy="Give the training command again: it goes on where it was.",
        ) from None
    return labels, hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def _predictor(path: str, config: MonitorConfig) -> Callable[[Sequence[str]], list[dict[str, Any]]]:
    from rag_lightning.inference.predicting import Predictor
    from rag_lightning.inference.saved import load_run

    predictor = Predictor(load_run(path), config.tokens, config.device)
    return lambda texts: list(predictor.answers(predictor.task.read_text(text) for text in texts))
