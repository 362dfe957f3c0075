"""Labels, rule hits and answers in words, as the slots of a template show them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rag_lightning.data.records import Record
from rag_lightning.tasks.spans import tags_to_spans

ANSWERS = ("tags", "label", "labels", "spans", "score", "target")  # fields that hold what is to be found out


@dataclass(frozen=True, slots=True)
class LabelWords:
    """A label as people say it: ``ORG`` is an "organisation", described as "a company, club or authority"."""

    name: str
    description: str = ""


def label_words(labels: Iterable[str], infos: Mapping[str, object]) -> dict[str, LabelWords]:
    """Each label in words, in the order given.

    Args:
        labels: as in the data; tags such as ``B-PER`` and ``O`` become the types they mark.
        infos: label -> an object with ``name`` and ``description`` (of the rules); may lack labels.
    """
    words: dict[str, LabelWords] = {}
    for label in entity_types(labels):
        info = infos.get(label)
        name = str(getattr(info, "name", "") or "") or label.replace("_", " ").replace("-", " ")
        words[label] = LabelWords(name, str(getattr(info, "description", "") or ""))
    return words


def entity_types(labels: Iterable[str]) -> list[str]:
    """The types of IOB2 tags, each once; labels of other tasks as they are."""
    names = list(labels)
    tagged = "O" in names and all(name == "O" or name[:2] in ("B-", "I-") for name in names)
    return list(dict.fromkeys(name[2:] for name in names if name != "O")) if tagged else names


def names_in_words(words: Mapping[str, LabelWords]) -> str:
    """``person, place, organisation``."""
    return ", ".join(each.name for each in words.values())


def descriptions_in_words(words: Mapping[str, LabelWords]) -> str:
    """``person: a human being; place: a country or town``; a label without a description is only named."""
    return "; ".join(f"{each.name}: {each.description}" if each.description else each.name for each in words.values())


def hints_in_words(record: Record, words: Mapping[str, LabelWords]) -> str:
    """What the rules found: ``Berlin: place; IBM: organisation``, each finding once, in the order of the text.

    Left out are marks without a label, what a veto of the same label overlaps, and findings within a longer one.
    Where rules disagree about a stretch it is told so: ``Washington: person or place``.

    Raises:
        RuntimeError: if no rules were applied to the record (a defect of the caller, never a mistake of the user).
    """
    if "hits" not in record:
        raise RuntimeError("the template shows what rules found, but no rules were applied to this record")
    vetoes = [(start, end, label) for start, end, label, _, _, veto in record["hits"] if veto]
    found: dict[tuple[int, int], list[str]] = {}
    for start, end, label, _, _, veto in record["hits"]:
        if veto or label is None or any(a < end and start < b and label == vetoed for a, b, vetoed in vetoes):
            continue
        name = words[label].name if label in words else label
        names = found.setdefault((start, end), [])
        if name not in names:
            names.append(name)
    outermost = [
        (start, end)
        for start, end in sorted(found)
        if not any(a <= start and end <= b and (a, b) != (start, end) for a, b in found)
    ]
    shown = [(_stretch(record, start, end), " or ".join(found[start, end])) for start, end in outermost]
    return findings_in_words(shown)


def findings_in_words(found: Sequence[tuple[str, str]]) -> str:
    """Pairs of a stretch of text and what it is, each pair once."""
    return "; ".join(dict.fromkeys(f"{text}: {name}" for text, name in found))


def answer_in_words(record: Record, words: Mapping[str, LabelWords], nothing: str) -> str | None:
    """The gold answer of a labelled example; None if it has no label.

    For words with tags the findings as a hint would show them, or ``nothing``.
    """
    if record.get("tags") is not None:
        spans = tags_to_spans(record["tags"])
        found = [(_stretch(record, start, end), _name(label, words)) for start, end, label in spans]
        return findings_in_words(found) or nothing
    if record.get("labels") is not None:
        return ", ".join(_name(label, words) for label in record["labels"]) or nothing
    if record.get("score") is not None:
        return f"{record['score']:g}"
    if record.get("target") is not None:
        return record["target"] if isinstance(record["target"], str) else str(record["target"][0])
    label = record.get("label")
    return None if label is None else _name(str(label), words)


def groups_of(record: Record) -> tuple[str, ...]:
    """The labels that a labelled example shows, each once."""
    if record.get("tags") is not None:
        return tuple(dict.fromkeys(label for _, _, label in tags_to_spans(record["tags"])))
    if record.get("labels") is not None:
        return tuple(record["labels"])
    return (str(record["label"]),) if record.get("label") is not None else ()


def own_words(record: Record, fields: Sequence[str] = ()) -> str:
    """The example as one line of text: its tokens, its text, or else the fields named."""
    if "tokens" in record:
        return " ".join(record["tokens"])
    if "text" in record:
        return str(record["text"])
    return " ".join(field_text(record[name]) for name in fields if name in record)


def field_text(value: object) -> str:
    """A field as text: a list of words joined by spaces."""
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _name(label: str, words: Mapping[str, LabelWords]) -> str:
    return words[label].name if label in words else label


def _stretch(record: Record, start: int, end: int) -> str:
    """The words, or characters where the record is running text, from ``start`` to ``end``."""
    return " ".join(record["tokens"][start:end]) if "tokens" in record else str(record["text"][start:end])
