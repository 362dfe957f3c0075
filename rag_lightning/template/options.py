"""What the config group ``template`` may hold."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DemonstrationConfig(_Options):
    """Labelled training examples shown before an input, for the slot ``{examples}``."""

    k: int = Field(3, ge=1, description="how many")
    choice: Literal["fixed", "random", "nearest"] = Field(
        "fixed",
        description="fixed: the same for every input, label by label; random: drawn for each input; "
        "nearest: the most similar by the backbone's mean-pooled embedding",
    )
    seed: int = Field(0, ge=0, description="of the order (fixed) or the draw (random)")
    text: str = Field(
        "{text} = {answer} .",
        min_length=1,
        description="how one reads: slots are the example's fields, {answer} and {sep}",
    )
    nothing: str = Field("nothing", description="the {answer} of an example in which there is nothing to find")


class ContextConfig(_Options):
    """Knowledge that belongs to the example, for the slot ``{context}``."""

    how: Literal["terms", "similar"] = Field(
        "terms",
        description="terms: what the file says about terms that occur in the example; similar: the entries (articles, "
        "or past questions with their answers) that resemble it most",
    )
    path: str | None = Field(
        None,
        description="JSONL or CSV with term and text (similar: title and text, or question and answer), or YAML with "
        "term: text; sample:dialogue/knowledge.jsonl is that of the embedded sample",
    )
    most: int = Field(3, ge=1, description="terms or entries in one input: the first that occur, the most similar")
    least: float = Field(
        0.12, ge=0, le=1, description="similar: entries that resemble the example less than this are not shown"
    )
    empty: str = Field("", description="what the slot says where nothing is found")


class TemplateConfig(_Options):
    """A line of text with slots, and what fills them.

    The options of a slot have no effect where the text does not have the slot.
    """

    name: str = Field(min_length=1, description="short name, used in names of runs")
    text: str = Field(min_length=1, description="one line; a slot is a name in braces, {{ and }} are braces")
    tasks: list[str] | None = Field(None, description="the tasks that it fits; null: all")
    description: str | None = Field(None, description="fills {description}; null: that of the rules")
    empty_hints: str = Field("", description="what {hints} says where no rule found anything")
    demonstrations: DemonstrationConfig = DemonstrationConfig()
    context: ContextConfig = ContextConfig()
    verbalizer: dict[str, list[str]] | None = Field(
        None, description="words that stand for each label at {mask}; null: the labels' names"
    )
    calibrate: bool = Field(
        True, description="take the model's liking for a word without any text out of the score of {mask}"
    )

    @field_validator("verbalizer", mode="before")
    @classmethod
    def _one_word_is_a_list(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {str(label): [words] if isinstance(words, str) else words for label, words in value.items()}
        return value
