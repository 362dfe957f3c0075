"""What a task reads of a row: which typed fields are its own, and which of them hold its labels."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """Given by a task, so that one data config of a format serves several tasks.

    Attributes:
        fields: the typed fields (keys of ``READ`` in ``data/values.py``) that the task may read, the most usual first.
            Typed fields that are not among them are left out of the records; fields that a user named otherwise stay.
        labels: those of the fields that can hold the labels; a record needs one of them. By the first one that a
            record has, splits and shots are stratified, if it holds names. Empty: the texts themselves are learnt from.
        optional: those of the fields that a row may be without, also where the data config names them.
    """

    fields: tuple[str, ...]
    labels: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if missing := {*self.labels, *self.optional}.difference(self.fields):
            raise ValueError(f"{sorted(missing)} is not among the fields {self.fields}")

    @property
    def inputs(self) -> tuple[str, ...]:
        """The fields that a model is shown."""
        return tuple(field for field in self.fields if field not in self.labels)

    @property
    def of_running_text(self) -> bool:
        """Whether nothing but texts is learnt from."""
        return not self.labels and self.fields[0] == "text"

    @property
    def needed(self) -> str:
        """What the data must give, in words: ``text and label``."""
        return " and ".join(dict.fromkeys([self.fields[0], *self.labels[:1]]))


# Words with a tag each, or running text with spans: the form that files in columns have.
TAGGED_TOKENS = Reading(fields=("tokens", "tags", "text", "spans"), labels=("tags", "spans"))
