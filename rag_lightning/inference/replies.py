"""Answers that somebody wrote once for each label, with slots that a question fills.

A YAML maps each label to an answer, or to versions of it, the fullest first::

    transaction_charged_twice:
      - "We are looking into the second payment of {amount} {when}."
      - "We are looking into the second payment of {amount}."
      - "We are looking into the second payment."

The slots are labels of a rule file; the first hit of the highest priority fills one. The first version whose slots are
all filled is the answer, so the last one must do without.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from rag_lightning.data.text import read_text
from rag_lightning.errors import UserError, nearest
from rag_lightning.rules.engine import RuleEngine
from rag_lightning.template.parse import Parts, check_slots, parse, slots_of


@dataclass(frozen=True)
class Reply:
    """An answer as it is given.

    Attributes:
        text: one line.
        filled: slot -> the question's words in it.
    """

    text: str
    filled: Mapping[str, str]


class Replies:
    """The answers of a file, and the rules that fill their slots.

    Args:
        versions: label -> its versions, the fullest first, the last without slots.
        engine: its labels are the slots.
    """

    def __init__(self, versions: Mapping[str, tuple[Parts, ...]], engine: RuleEngine) -> None:
        self.versions, self._engine = dict(versions), engine

    def slots(self, question: str) -> dict[str, str]:
        """Slot -> the words of the question that fill it: of its hits those of the highest priority, then the first."""
        best: dict[str, tuple[int, str]] = {}
        for hit in self._engine.apply_text(question):
            if hit.label is not None and not hit.veto and hit.priority > best.get(hit.label, (-(10**9), ""))[0]:
                best[hit.label] = (hit.priority, question[hit.start : hit.end])
        return {slot: words for slot, (_, words) in best.items()}

    def reply(self, label: str, question: str) -> Reply:
        """The fullest version of the label's answer that the question can fill.

        Raises:
            UserError: no answer was written for the label.
        """
        if label not in self.versions:
            raise without_answer(label, list(self.versions))
        known = self.slots(question)
        parts = next(each for each in self.versions[label] if set(slots_of(each)) <= set(known))
        text = "".join(part if isinstance(part, str) else known[part.name] for part in parts)
        return Reply(text, {name: known[name] for name in slots_of(parts)})

    def plain(self, label: str) -> str:
        """The label's answer without any slot."""
        return "".join(map(str, self.versions[label][-1]))

    def check(self, labels: tuple[str, ...]) -> None:
        """Raise for a label without an answer, before anything is answered."""
        for label in labels:
            if label not in self.versions:
                raise without_answer(label, list(self.versions))


def without_answer(label: str, there: list[str]) -> UserError:
    """The error for a label that has no answer."""
    close = nearest(label, there)
    hint = f" Is it {close[0]}?" if close else ""
    return UserError(f"there is no answer for the label {label}", where="answers", remedy=f"Write one.{hint}")


def read_replies(path: Path, engine: RuleEngine) -> Replies:
    """The answers of a YAML file.

    Args:
        path: the file.
        engine: its labels are the slots there are.

    Raises:
        UserError: for each mistake, with the file and the label: no mapping, an answer of several lines or none, an
            unknown slot, a last version that has one.
    """
    if not path.is_file():
        raise UserError("the file of answers does not exist", where=str(path), remedy="Give a YAML file.")
    try:
        values = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise UserError("this is not YAML", where=where, remedy="Write a line  label: answer.") from None
    if not isinstance(values, dict):
        raise UserError("this is no mapping", where=str(path), remedy="Write a line  label: answer.")
    return Replies({str(label): _versions(each, f"{path}: {label}", engine) for label, each in values.items()}, engine)


def _versions(value: object, where: str, engine: RuleEngine) -> tuple[Parts, ...]:
    texts = [text.strip() for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    if not texts or (isinstance(value, list) and len(texts) < len(value)) or any("\n" in t or not t for t in texts):
        raise UserError("an answer is a line of text, or a list of such", where=where, remedy="Write it as one line.")
    versions = tuple(parse(text, where) for text in texts)
    for parts in versions:
        check_slots(parts, engine.ruleset.labels, where)
    if slots := slots_of(versions[-1]):
        raise UserError(
            f"the last version needs {{{slots[0]}}}, which a question may not name",
            where=where,
            remedy="Add a version without slots at the end.",
        )
    for number, parts in enumerate(versions):
        if any(set(slots_of(parts)) >= set(slots_of(fuller)) for fuller in versions[:number]):
            raise UserError(
                f"version {number + 1} is never reached: one before it needs no more slots",
                where=where, remedy="Put the fullest version first.",
            )  # fmt: skip
    return versions
