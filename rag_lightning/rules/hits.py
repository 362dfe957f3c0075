"""What a rule found: the structure that features, weak labels, templates and reports share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

HitJson = list[Any]  # [start, end, label, rule, priority, veto]


@dataclass(frozen=True, slots=True)
class Hit:
    """A stretch of a text on which a rule speaks.

    Attributes:
        start: first unit of the stretch: a token where the record has ``tokens``, else a character.
        end: one after the last unit.
        label: the label it votes for; None for a mark, which is a feature and no vote.
        rule: the rule's name.
        priority: of the rule.
        veto: the stretch (or the whole text) is *not* ``label``.
    """

    start: int
    end: int
    label: str | None
    rule: str
    priority: int = 0
    veto: bool = False


def hit_to_json(hit: Hit) -> HitJson:
    """The hit as records and caches keep it."""
    return [hit.start, hit.end, hit.label, hit.rule, hit.priority, hit.veto]


def hit_from_json(values: Sequence[Any]) -> Hit:
    """The hit that :func:`hit_to_json` wrote."""
    return Hit(*values)


def in_order(hits: Iterable[Hit]) -> list[Hit]:
    """By place, then by the rule's name: the order in which records hold them."""
    return sorted(hits, key=lambda hit: (hit.start, hit.end, hit.rule, hit.label or ""))
