"""Translation: records with ``text`` and its translation (or several) as ``target``."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from pydantic import Field, field_validator

from rag_lightning.data.records import Record, Splits
from rag_lightning.errors import UserError
from rag_lightning.metrics.writing import bleu, chrf, copied
from rag_lightning.tasks.evaluation import Evaluation, Table
from rag_lightning.tasks.glossary import Glossary, obeys, read_glossary
from rag_lightning.tasks.outputs.text import CONTINUED
from rag_lightning.tasks.task import Prepared, Task
from rag_lightning.tasks.writing import (
    READING,
    Fields,
    WritingOptions,
    answer_as,
    evaluation_of,
    fit_with_fields,
    prepare_writing,
    read_line,
    references_of,
    tokenizer_for,
    told_by_system,
)


class TranslationOptions(WritingOptions):
    name: str = "translation"
    source_language: str = Field("English", description="fills {source_language}")
    target_language: str = Field("German", description="fills {target_language}")
    glossary: dict[str, str] | None = Field(
        None,
        description="terms and their prescribed translations, for {glossary}: a file (CSV, JSONL, YAML), "
        "sample:translation/glossary.csv, or a mapping",
    )
    glossary_intro: str = Field("Use", description="what stands before the terms that were found, in {glossary}")

    @field_validator("glossary", mode="before")
    @classmethod
    def _file(cls, value: object) -> object:
        return read_glossary(value) if isinstance(value, str) else value


def slots_of(options: TranslationOptions) -> Fields:
    """What templates show of a record beside its text, and the terms that its translation is held to."""
    glossary = Glossary(options.glossary or {})

    def fields(record: Record) -> dict[str, Any]:
        terms = glossary.find(record["text"])
        told = "; ".join(f"{source} = {target}" for source, target in terms)
        return {
            "source_language": options.source_language,
            "target_language": options.target_language,
            "glossary": f"{options.glossary_intro} {told}.".strip() if told else "",
            "terms": terms,
            **told_by_system(options),
        }

    return fields


def prepare(splits: Splits, options: TranslationOptions) -> Prepared:
    """The records with the names of the languages and the terms of the glossary."""
    return prepare_writing(splits, slots_of(options))


def evaluate(
    split: str,
    records: Sequence[Record],
    predictions: Sequence[dict[str, Any]],
    labels: tuple[str, ...],
    options: TranslationOptions,
) -> Evaluation:
    """BLEU and chrF beside those of a copy of the source, perplexity, and whether the glossary was kept to."""
    references = [references_of(record) for record in records]
    tokenize = tokenizer_for(options.tokenize, references)
    written = [prediction["text"] for prediction in predictions]
    scores, signature = _scores(written, references, tokenize)
    copies, _ = _scores(copied([record["text"] for record in records]), references, tokenize)
    rows = [_shown(name, each) for name, each in (("this model", scores), ("copy of the source", copies))]
    tables = [Table("Scores", ("", "chrF", "BLEU", "length"), tuple(rows), signature)]
    kept, table = _obedience(records, written, references)
    return evaluation_of(
        split,
        records,
        predictions,
        metrics={**scores, **kept},
        headline="chrf",
        tables=[*tables, *table],
        closeness=lambda text, rights: chrf([text], [rights])[0]["chrf"],
    )


def _scores(written: Sequence[str], references: Sequence[list[str]], tokenize: str) -> tuple[dict[str, float], str]:
    by_words, words_signature = bleu(written, references, tokenize)
    by_characters, characters_signature = chrf(written, references)
    signature = f"BLEU {words_signature}; chrF2 {characters_signature}"
    return {**by_characters, **by_words}, signature


def _shown(name: str, scores: dict[str, float]) -> tuple[str, str, str, str]:
    return name, f"{scores['chrf']:.1f}", f"{scores['bleu']:.1f}", f"{scores['length_ratio']:.2f}"


def _obedience(
    records: Sequence[Record], written: Sequence[str], references: Sequence[list[str]]
) -> tuple[dict[str, float], list[Table]]:
    """In how many cases the prescribed word stands in the translation; nothing where no term was found."""
    cases = [(number, target) for number, record in enumerate(records) for _, target in record.get("terms", ())]
    if not cases:
        return {}, []
    own = sum(obeys(written[number], target) for number, target in cases) / len(cases)
    right = sum(any(obeys(text, target) for text in references[number]) for number, target in cases) / len(cases)
    rows = (("this model", len(cases), own), ("references", len(cases), right))
    table = Table("Prescribed terms", ("", "terms in the sources", "share that stands in the translation"), rows)
    return {"glossary/obeyed": own, "glossary/in_references": right}, [table]


def fit(task: Task, options: TranslationOptions, model_type: str) -> Task:
    """The task for this backbone, which knows its languages and its glossary.

    Raises:
        UserError: as of ``fit_writing``; or an empty glossary.
    """
    if options.glossary is not None and not options.glossary:
        raise UserError("the glossary is empty", where="task.glossary", remedy="Give it terms, or set null.")
    return fit_with_fields(task, options, model_type, slots_of(options), evaluate)


TASK = Task(
    name="translation",
    output=CONTINUED,
    options=TranslationOptions,
    headline="chrf",
    reading=READING,
    prepare=prepare,
    evaluate=partial(evaluate, options=TranslationOptions()),
    read_text=partial(read_line, fields=slots_of(TranslationOptions())),
    answer=answer_as("translation"),
    fit=fit,
    shows_before=True,
    example="Dinner is almost ready.",
)
