"""Dialogues to examples: for each reply what was said before, the last turn of the user, and the reply."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

from rag_lightning.data.records import Record
from rag_lightning.tasks.writing import references_of

Turn = dict[str, str]
NAMES = {"user": "User", "assistant": "Assistant", "system": "System"}  # in a template's {history}
CANDIDATES = "candidates"  # the field of an example that holds the replies to choose from, the right one first
_OTHER = {"user": "assistant", "assistant": "user"}


def examples_of(
    record: Record,
    *,
    replies: Literal["all", "last"] = "all",
    most_turns: int | None = None,
    system: str | None = None,
) -> list[Record]:
    """The examples of a dialogue, in order; none if nothing in it is a reply.

    Args:
        record: with ``turns``. With ``target`` (a text, or several acceptable ones) that is the reply to all turns;
            else each turn of the assistant that follows one of the user is one.
        replies: last: the last of them only.
        most_turns: how many turns before the user's last one are kept, the latest; None: all.
        system: what stands before a dialogue without system message of its own.

    Returns:
        Records with ``turns`` (before the user's last one), ``text`` (that one), ``history`` (the turns as one line),
        ``target`` and ``dialogue`` (the id of the whole); further fields are kept.
    """
    rest = {name: value for name, value in record.items() if name not in ("turns", "target", "text")}
    turns = merged(record["turns"])
    if record.get("target") is not None:
        found = [(answered_by_assistant(turns), record["target"])]
    else:
        found = [(turns[:i], turn["text"]) for i, turn in enumerate(turns) if turn["role"] == "assistant"]
        found = [(before, reply) for before, reply in found if any(turn["role"] == "user" for turn in before)]
        found = found[-1:] if replies == "last" else found
    examples = []
    for number, (before, reply) in enumerate(found, 1):
        name = str(record.get("id", ""))
        asked = question(before, most_turns, system)
        examples.append({**rest, "dialogue": name, **asked, "target": reply})
        examples[-1]["id"] = name if len(found) == 1 else f"{name}-{number}"
    return examples


def question(before: Sequence[Turn], most_turns: int | None = None, system: str | None = None) -> Record:
    """``turns``, ``text`` and ``history`` of a dialogue in which the user spoke; arguments as :func:`examples_of`."""
    last = max(place for place, turn in enumerate(before) if turn["role"] == "user")
    earlier = [turn for place, turn in enumerate(before) if place != last]
    told = [turn for turn in earlier if turn["role"] == "system"]
    spoken = [turn for turn in earlier if turn["role"] != "system"]
    if not told and system:
        told = [{"role": "system", "text": system}]
    kept = spoken if most_turns is None else spoken[len(spoken) - min(most_turns, len(spoken)) :]
    turns = [*told, *kept]
    return {"turns": turns, "text": before[last]["text"], "history": as_line(turns)}


def as_line(turns: Sequence[Turn]) -> str:
    """``User: Are you open? Assistant: Until six.``"""
    return " ".join(f"{NAMES[turn['role']]}: {turn['text']}" for turn in turns)


def merged(turns: Sequence[Turn]) -> list[Turn]:
    """Turns of one speaker in a row as one: chat templates expect the speakers to take turns."""
    result: list[Turn] = []
    for turn in turns:
        if result and result[-1]["role"] == turn["role"]:
            result[-1] = {"role": turn["role"], "text": f"{result[-1]['text']} {turn['text']}"}
        else:
            result.append({"role": turn["role"], "text": turn["text"]})
    return result


def answered_by_assistant(turns: Sequence[Turn]) -> list[Turn]:
    """A dialogue whose next speaker is the assistant: of texts without roles the first may be anybody's."""
    spoken = [turn["role"] for turn in turns if turn["role"] != "system"]
    if spoken and spoken[-1] == "user":
        return list(turns)
    return [{**turn, "role": _OTHER.get(turn["role"], turn["role"])} for turn in turns]


def most_frequent_reply(records: Sequence[Record]) -> str | None:
    """The reply that answers most examples (capitals and white space do not count), as it is first written."""
    counts: Counter[str] = Counter()
    written: dict[str, str] = {}
    for record in records:
        for reply in references_of(record):
            key = " ".join(reply.casefold().split())
            counts[key] += 1
            written.setdefault(key, reply)
    return written[counts.most_common(1)[0][0]] if counts else None


def with_candidates(
    records: Sequence[Record], *, among: int, most: int | None, source: str, seed: int
) -> Iterator[Record]:
    """The examples, some of them with ``candidates``: the right reply and wrong ones, each once.

    Args:
        records: examples of one split.
        among: how many candidates an example has at most, at least 2.
        most: of how many examples, drawn by the seed; None: of all that have a wrong reply.
        source: ``split``: wrong replies are those of other examples; else the field that holds them.
        seed: of both draws.
    """
    draw = random.Random(seed)
    pool = list(dict.fromkeys(references_of(record)[0] for record in records)) if source == "split" else []
    chosen = range(len(records)) if most is None else sorted(draw.sample(range(len(records)), min(most, len(records))))
    wanted = set(chosen)
    for place, record in enumerate(records):
        if place not in wanted:
            yield record
            continue
        right = references_of(record)
        if source == "split":
            # Enough that a few of them may be right ones.
            drawn = draw.sample(pool, min(len(pool), among + len(right)))
        else:
            drawn = list(dict.fromkeys(record.get(source) or ()))
        wrong = [reply for reply in drawn if reply not in right][: among - 1]
        yield {**record, CANDIDATES: [right[0], *wrong]} if wrong else record
