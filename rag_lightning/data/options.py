"""The ``data`` group of the config: where examples come from, how they are read and divided."""

import codecs
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rag_lightning.errors import UserError

FieldSource = int | str | list[int | str] | None
SPLITS = ("train", "validation", "test")
Format = Literal["conll", "jsonl", "csv", "parquet", "labelled_lines", "squad", "semeval", "parallel", "texts"]
# The form of a sample's file, by its ending.
SAMPLE_FORMATS: dict[str, Format] = {"conll": "conll", "jsonl": "jsonl", "json": "squad", "txt": "texts"}
SEPARATORS = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";", "pipe": "|"}


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SplitFiles(_Options):
    """File names or patterns for each split; null = the conventional names (train.*, valid.*, eng.testa ...).

    A file belongs to the first split that names it; [] = none, so that the split is cut from train.
    """

    train: list[str] | None = Field(None, description="names or patterns, tried in order, in the folder data.path")
    validation: list[str] | None = Field(None, description="as train, for the validation split")
    test: list[str] | None = Field(None, description="as train, for the test split")

    @field_validator("train", "validation", "test", mode="before")
    @classmethod
    def _one_name_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class SplitShares(_Options):
    """How examples are divided where the data lack a split. The division has a seed of its own, so that
    runs with different seeds are judged on the same examples."""

    validation: float = Field(0.15, ge=0, lt=1, description="share for validation where it is missing; 0 = none")
    test: float = Field(0.15, ge=0, lt=1, description="share for test where it is missing; 0 = none")
    seed: int = Field(0, ge=0, description="seed of the division")
    by: str | None = Field(
        None, description="a field whose examples of one value stay together, such as the title of an article"
    )
    order: Literal["random", "file"] = Field(
        "random", description="file: the last examples are for test, those before them for validation"
    )

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> "SplitShares":
        if self.validation + self.test > 0.9:
            raise ValueError("validation and test together take more than 0.9 of the data")
        return self

    def shares_without(self, present: Collection[str]) -> dict[str, float]:
        """The share of each split that is not among those present and is to be cut from train."""
        shares = {"validation": self.validation, "test": self.test}
        return {split: share for split, share in shares.items() if split not in present and share > 0}


class SplitLimits(_Options):
    """How many examples to keep (a random subset with the run's seed); null = all."""

    train: int | None = Field(None, ge=1, description="keep this many training examples (few-label experiments)")
    validation: int | None = Field(None, ge=1, description="keep this many validation examples")
    test: int | None = Field(None, ge=1, description="keep this many test examples")


class DataConfig(_Options):
    """Where examples come from and how they are read."""

    name: str = Field(description="short name, used in names of runs")
    format: Format | Literal["hub", "sample"] = Field(
        description="form of the files; labelled_lines = a label and a text in each line, squad = SQuAD's JSON, "
        "semeval = blocks of SemEval-2010 Task 8, parallel = two files with a line for each other's, texts = running "
        "text, hub = parquet from the Hugging Face Hub, sample = embedded sample"
    )
    path: str | None = Field(
        None,
        description="a folder with a file per split, or one file to divide; for format=sample the sample's name",
    )
    hub_name: str | None = Field(
        None, description="the Hub's dataset, owner/name; used for format=hub and where path is null"
    )
    revision: str = Field(
        "refs/convert/parquet", description="the Hub's branch, tag or commit; the default is its parquet export"
    )
    config: str | None = Field(None, description="the subset of the Hub's dataset; null = the only one")
    files: SplitFiles = Field(default_factory=SplitFiles, description="file names or patterns for each split")
    fields: dict[str, FieldSource] = Field(
        default_factory=lambda: dict[str, FieldSource](tokens=0, tags=-1),
        description="task field -> column number (from 0; negative from the end) or column/field name; "
        "a list = the first one that the data have; null = not read",
    )
    join: dict[str, list[int | str]] | None = Field(
        None,
        description="task field -> several columns (or one with a list) whose texts make it, with a space between: "
        "{text: [title, body]}; for target, labels and turns each is an item of the list; where the data have none of "
        "them, `fields` says what is read",
    )
    optional: list[str] = Field(default_factory=list, description="task fields that a row may be without")
    label_names: list[str] | dict[str, str] | None = Field(
        None,
        description="names of labels that are stored as whole numbers, in the order of the numbers; or a mapping of "
        "what is stored to names",
    )
    label_pattern: str | None = Field(
        None, description="a regular expression: what it finds in a stored label (its first group, if any) is the label"
    )
    token_pattern: str | None = Field(
        None, description="as label_pattern, for tokens: '^.' keeps the first character of each"
    )
    label_separator: str = Field(
        ",", min_length=1, description="what stands between the labels in a cell that holds several"
    )
    turn_separator: str | None = Field(
        None, min_length=1, description="what stands between or after the turns of a dialogue in one cell: __eou__"
    )
    document_pattern: str | None = Field(
        None,
        description="texts: a regular expression; a line in which it is found begins a new document; null = a blank "
        "line stands between documents",
    )
    group_by: int | str | None = Field(
        None, description="csv: the column that says to which example a row belongs (one token a row)"
    )
    separator: str | None = Field(
        None, description="column separator: a character, or tab, space, comma, semicolon, pipe; null = detect"
    )
    ragged: bool = Field(False, description="csv: rows may have further cells at their end, which are not read")
    header: bool = Field(True, description="csv: the first row names the columns")
    quoting: bool | None = Field(
        None, description='csv: cells may stand in "double quotes"; null = detect (plain for most tab-separated files)'
    )
    encoding: str = Field("utf-8", description="character encoding of the files")
    split: SplitShares = Field(default_factory=SplitShares, description="how a missing split is cut from train")
    limit: SplitLimits = Field(default_factory=SplitLimits, description="how many examples to keep")
    shots: int | None = Field(
        None, ge=0, description="labelled training examples; the rest of train is the unlabelled pool"
    )
    shots_per_label: int | None = Field(None, ge=0, description="as shots, for each label (each type of entity)")
    shots_seed: int | None = Field(None, ge=0, description="of the choice of shots; null = the run's seed")
    unlabelled: str | None = Field(
        None,
        description="a file of further texts for the unlabelled pool (.txt with a text a line, or like the data); a "
        "sample brings its own where shots are set",
    )

    @model_validator(mode="after")
    def _one_way_to_count_shots(self) -> "DataConfig":
        if self.shots is not None and self.shots_per_label is not None:
            raise ValueError("set either shots or shots_per_label, not both")
        return self

    @field_validator("label_names", mode="before")
    @classmethod
    def _numbers_are_labels_too(cls, value: Any) -> Any:
        return {str(key): name for key, name in value.items()} if isinstance(value, dict) else value

    @field_validator("label_pattern", "token_pattern", "document_pattern")
    @classmethod
    def _readable_pattern(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"this is no regular expression ({error})") from None
        return value

    @field_validator("separator")
    @classmethod
    def _spell_out_separator(cls, value: str | None) -> str | None:
        value = SEPARATORS.get(value, value) if value is not None else None
        if value is not None and len(value) != 1:
            raise ValueError(f"separator is one character or one of {', '.join(SEPARATORS)}")
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            codecs.lookup(value)
        except LookupError:
            raise ValueError(f"unknown encoding {value!r}; try utf-8, latin-1, utf-16 or gb18030") from None
        return value

    @property
    def source(self) -> Literal["files", "hub", "sample"]:
        """Where the examples come from; a path, and files that are named and there, always win over the Hub."""
        if self.format == "sample":
            return "sample"
        from_hub = self.format == "hub" or self.hub_name is not None
        return "hub" if from_hub and self.path is None and not self._names_own_files() else "files"

    @property
    def file_format(self) -> Format:
        """The form of the files that are read in the end (a sample's files tell by their ending)."""
        if self.format == "sample":
            return "conll"
        return "parquet" if self.format == "hub" or self.source == "hub" else self.format

    @property
    def hub_dataset(self) -> str:
        """The Hub's data set.

        Raises:
            UserError: if none is named.
        """
        if self.hub_name is None:
            raise UserError(
                "data=hub needs the name of a data set", where="data.hub_name", remedy="Set data.hub_name=owner/name."
            )
        return self.hub_name

    @property
    def few_shot(self) -> bool:
        """Whether only some of the training examples keep their labels."""
        return self.shots is not None or self.shots_per_label is not None

    def names_files(self) -> bool:
        """Whether the user named files for any split."""
        return any(getattr(self.files, split) for split in SPLITS)

    def _names_own_files(self) -> bool:
        """Whether files are named with a folder, or stand here; the names that a YAML gives are those of a folder."""
        names = [name for split in SPLITS for name in getattr(self.files, split) or ()]
        return any(len(Path(name).parts) > 1 or Path(name).is_file() for name in names)
