"""What the probes of a finished run gave, in its folder: what is asked later comes beside what was asked before."""

import json
import math
import re
from pathlib import Path
from typing import Any

from rag_lightning.probe.measure import ADAPTERS_OFF
from rag_lightning.report.files import write_json, write_text
from rag_lightning.report.knowledge import TITLE, Kept, Knowledge
from rag_lightning.report.markdown import knowledge_section
from rag_lightning.report.plot_knowledge import plot_knowledge
from rag_lightning.training.folder import RunFolder

_FILE = "probe.json"
_NUMBERS = ("before", "after", "kept")
_SECTION = re.compile(rf"^## {TITLE}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BEHIND = re.compile(r"^## (Notes|Use it again)$|\Z", re.MULTILINE)


def questions_asked(folder: RunFolder) -> dict[str, dict[str, Any]]:
    """By probe what ``questions`` gave when a run was last asked it; empty for a run that was asked nothing."""
    asked = _read(folder.path / _FILE).get("asked")
    return {name: _question(each) for name, each in asked.items()} if isinstance(asked, dict) else {}


def write_knowledge(folder: RunFolder, knowledge: Knowledge) -> Knowledge:
    """Write a measurement beside the other results of a finished run; an earlier one of the same probes is replaced.

    Returns:
        All that is known of the run now.
    """
    whole = merged(_read(folder.path / _FILE), knowledge)
    write_json(folder.path / _FILE, whole.to_json())
    plot_knowledge(folder.path / "kept.png", whole)
    values = whole.metrics()
    if metrics := _read(folder.path / "metrics.json"):
        metrics.setdefault("metrics", {})["probe"] = values
        write_json(folder.path / "metrics.json", metrics)
    if status := folder.status():
        kept = {name: value for name, value in folder.metrics().items() if not name.startswith("probe/")}
        status["metrics"] = kept | {f"probe/{name}": value for name, value in values.items() if math.isfinite(value)}
        write_json(folder.path / "status.json", status)
    report = folder.path / "report.md"
    if report.is_file():
        section = knowledge_section(folder.path, whole)
        write_text(report, with_section(report.read_text(encoding="utf-8"), section))
    return whole


def merged(earlier: dict[str, Any], new: Knowledge) -> Knowledge:
    """A new measurement with what an earlier one, as ``probe.json`` keeps it, says of other probes.

    Adapters can be switched off only while they are not merged, at the end of the training: what was found then stays,
    unless the probe is now asked something else, with which it could not be compared.
    """
    try:
        asked: dict[str, Any] = earlier["asked"]
        rows = [Kept(**{**row, **{key: _number(row[key]) for key in _NUMBERS}}) for row in earlier["rows"]]
        again = asked.keys() & new.asked.keys()
        obsolete = {note for name in again for note in asked[name].get("notes", ())}
        notes = [str(note) for note in earlier["notes"] if note not in obsolete]
        same = {name for name in again if _question(asked[name]) == _question(new.asked[name])}
    except (KeyError, TypeError, AttributeError):  # there is none, or it was written by hand
        return new
    measured = {row.probe for row in new.rows} | new.asked.keys()
    changed = {f"{ADAPTERS_OFF}/{name}" for name in new.asked.keys() - same}
    both = [row for row in rows if row.probe not in measured | changed] + list(new.rows)
    both.sort(key=lambda row: row.probe.startswith(f"{ADAPTERS_OFF}/"))  # which leaves the order else
    return Knowledge(tuple(both), tuple(dict.fromkeys([*notes, *new.notes])), {**asked, **new.asked})


def with_section(report: str, section: str) -> str:
    """A report with this section on what was kept in place of its own, or before notes and usage."""
    if _SECTION.search(report):
        return _SECTION.sub(lambda _: f"{section}\n\n", report, count=1).rstrip() + "\n"
    place = _BEHIND.search(report)
    assert place is not None  # the end at least
    parts = (report[: place.start()].rstrip(), section, report[place.start() :].strip())
    return "\n\n".join(part for part in parts if part) + "\n"


def _question(asked: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in asked.items() if key != "notes"}


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
