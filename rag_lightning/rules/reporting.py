"""What ``report`` prints: the rules measured on labelled examples."""

from rag_lightning.config.validate import parse
from rag_lightning.data.load import load_splits
from rag_lightning.data.options import SPLITS
from rag_lightning.data.records import Record
from rag_lightning.data.splits import subset
from rag_lightning.errors import UserError
from rag_lightning.rules.analysis import joint_table, labelled, rule_table, worst_table
from rag_lightning.rules.command import RulesCommand
from rag_lightning.rules.engine import RuleEngine
from rag_lightning.rules.ruleset import RuleSet, check_labels
from rag_lightning.rules.showing import show


def report(ruleset: RuleSet, name: str, settings: RulesCommand) -> None:
    """Print a table of the rules, one of all together, and the examples that each rule gets wrong.

    Raises:
        UserError: without data or labels, or if a rule names a label that the data do not have.
    """
    if settings.data is None:
        raise UserError(
            "report needs labelled examples", where="data", remedy="Add data=conll data.path=FOLDER, or data=csv …."
        )
    records, label_field, known, notes = _records(settings)
    check_labels(ruleset, known, name)
    examples = [labelled(record, label_field) for record in RuleEngine(ruleset).annotate(records)]
    tables = [rule_table(examples, ruleset), joint_table(examples, ruleset)]
    if settings.worst:
        tables.append(worst_table(examples, ruleset, settings.worst))
    show(f"{name} on {settings.split} of {settings.data.name}", [table for table in tables if table.rows], notes)


def _records(settings: RulesCommand) -> tuple[list[Record], str, list[str], list[str]]:
    """Labelled records in the task's one form, the field of their labels, all labels, notes about the data."""
    from rag_lightning.tasks.registry import get_task
    from rag_lightning.tasks.task import with_known_labels

    assert settings.data is not None
    task = get_task(settings.task)
    loaded = load_splits(settings.data, settings.seed, task.reading)  # so that training and report have one split
    if not (records := loaded.splits.get(settings.split, [])):
        raise UserError(
            f"there are no labelled {settings.split} examples",
            where="split",
            remedy="Set data.shots above 0, or choose split=validation."
            if settings.data.few_shot
            else f"Choose one of {', '.join(name for name in SPLITS if loaded.splits.get(name))}.",
        )
    fields = [name for name in task.reading.labels if any(record.get(name) is not None for record in records)]
    label_field = next(iter([*fields, *task.reading.labels]), "label")
    if any(all(record.get(field) is None for field in task.reading.labels) for record in records):
        raise UserError(
            f"examples without {label_field} cannot be scored",
            where=records[0]["source"],
            remedy=f"Set data.fields.{label_field}, or choose another split.",
        )
    options = with_known_labels(parse(task.options, settings.task, "task"), loaded.labels)
    prepared = task.prepare(loaded.splits, options)
    records = prepared.splits[settings.split]
    if settings.limit is not None and settings.limit < len(records):
        records = subset(records, settings.limit, settings.seed, task.reading)
    return records, label_field, task.rule_labels(prepared.labels), [*loaded.notes, *prepared.notes]
