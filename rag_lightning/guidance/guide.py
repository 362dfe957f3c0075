"""What of rules and template a run uses, decided once: for encoding, training and prediction alike."""

import hashlib
import json
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rag_lightning.data.records import Record
from rag_lightning.decoding.vetoes import FORBIDDEN_COLUMN, veto_masks
from rag_lightning.guidance.options import GuidanceConfig, Switch
from rag_lightning.rules.engine import RuleEngine
from rag_lightning.rules.marks import COLUMN, FeatureIndex, record_marks, split_columns
from rag_lightning.rules.ruleset import RuleSet
from rag_lightning.rules.silence import leave_open, small_words
from rag_lightning.rules.weak_labels import training_records, weak_labels


@dataclass(frozen=True)
class Guide:
    """Rules and the ways in which they are used.

    Attributes:
        ruleset: empty where there are none.
        config: as the user wrote it; the properties say what ``auto`` means here.
        of_tokens: whether the task labels words.
    """

    ruleset: RuleSet
    config: GuidanceConfig
    of_tokens: bool

    @property
    def has_rules(self) -> bool:
        return bool(self.ruleset.rules)

    @property
    def features(self) -> bool:
        """Whether hits are an input of the model."""
        return self._decided(self.config.features.enabled, self.has_rules)

    @property
    def transitions(self) -> bool:
        """Whether only valid sequences of tags are answered."""
        return self.of_tokens and self._decided(self.config.decoding.transitions, self.has_rules)

    @property
    def vetoes(self) -> bool:
        """Whether vetoes forbid answers."""
        some = any(rule.veto for rule in self.ruleset.rules)
        return self.of_tokens and some and self._decided(self.config.decoding.vetoes, some)

    @property
    def supervises(self) -> bool:
        """Whether unlabelled examples are given labels by rules."""
        weak = self.config.weak
        return self.has_rules and (weak.warmup_epochs > 0 or weak.joint_weight > 0)

    @property
    def teaches_examples(self) -> bool:
        """Whether the examples of the rule file's labels are training examples."""
        some = any(info.examples for info in self.ruleset.labels.values())
        return not self.of_tokens and some and self._decided(self.config.examples, True)

    def ways(self, splits: Collection[str]) -> dict[str, bool]:
        """Each way in words, and whether it is taken with the splits that there are."""
        weak, some = self.config.weak, "weak" in splits
        return {
            "features": self.features,
            "warm-up": some and weak.warmup_epochs > 0,
            "weak labels beside the labelled": some and weak.joint_weight > 0,
            "self-training": self.config.self_training.rounds > 0,
            "examples of labels": self.teaches_examples,
            "label meanings": self.config.semantics,
            "valid tags": self.transitions,
            "vetoes": self.vetoes,
        }

    @staticmethod
    def _decided(switch: Switch, otherwise: bool) -> bool:
        return otherwise if switch == "auto" else bool(switch)

    @cached_property
    def engine(self) -> RuleEngine:
        return RuleEngine(self.ruleset)

    @cached_property
    def index(self) -> FeatureIndex:
        """Which bit of the marks means what."""
        return FeatureIndex.of(self.ruleset)

    def annotate(self, records: Sequence[Record]) -> list[Record]:
        """The records with their ``hits``; as they are where there are no rules."""
        return list(self.engine.annotate(records)) if self.has_rules else list(records)

    def columns(self, record: Record, labels: Sequence[str]) -> dict[str, list[int]]:
        """Columns of the encoded data with a number for each word of a record: marks, and vetoed types."""
        columns: dict[str, list[int]] = {}
        if self.features:
            parts = split_columns(record_marks(record, self.index), self.index)
            columns |= {COLUMN.format(i): part for i, part in enumerate(parts)}
        if self.vetoes:
            columns[FORBIDDEN_COLUMN] = veto_masks(record["hits"], len(record["tokens"]), labels)
        return columns

    @property
    def column_names(self) -> list[str]:
        """The columns that :meth:`columns` gives."""
        marks = [COLUMN.format(i) for i in range(self.index.columns)] if self.features else []
        return marks + ([FORBIDDEN_COLUMN] if self.vetoes else [])

    def told_examples(self, labels: Sequence[str]) -> list[Record]:
        """The examples that the rule file gives of the labels, as labelled texts."""
        if not self.teaches_examples:
            return []
        told = [(label, text) for label, info in self.ruleset.labels.items() for text in info.examples]
        return [
            {"id": f"rules-{number}", "source": f"rules, {label}", "text": text, "label": label}
            for number, (label, text) in enumerate(told)
            if label in labels
        ]

    def weakly_labelled(self, records: Sequence[Record], labels: Sequence[str], seed: int) -> list[Record]:
        """Unlabelled records with the labels that the rules give them, those on which no rule speaks left out."""
        weak = self.config.weak
        given = weak_labels(records, labels, weak.aggregation)
        chosen = training_records(records, given, keep_silent=weak.keep_silent, seed=seed)
        if weak.limit is not None and weak.limit < len(chosen):  # files are often sorted by label
            chosen = [chosen[i] for i in sorted(random.Random(seed).sample(range(len(chosen)), weak.limit))]
        return leave_open(chosen, small_words(records)) if self.of_tokens and weak.leave_open else chosen

    @property
    def idle_settings(self) -> set[str]:
        """The settings that have no effect here, so that they make no other run of this one."""
        idle = set()
        if not self.has_rules:
            idle |= {"guidance.features", "guidance.decoding.vetoes"}
        if not self.supervises:
            idle.add("guidance.weak")
        if not self.config.self_training.rounds:
            idle.add("guidance.self_training")
        if not self.teaches_examples:
            idle.add("guidance.examples")
        return idle

    @property
    def fingerprint(self) -> str:
        """Of what changes the encoded data."""
        weak = self.config.weak.model_dump(exclude={"warmup_epochs", "warmup_lr", "joint_weight"})
        parts: dict[str, Any] = {
            "rules": self.ruleset.fingerprint,
            "columns": self.column_names,
            "weak": weak if self.supervises else None,
            "examples": self.teaches_examples,
        }
        used = self.has_rules or self.teaches_examples
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20] if used else ""
