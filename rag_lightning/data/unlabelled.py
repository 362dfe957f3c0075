"""Further texts for the unlabelled pool, from a file of the user or of a sample."""

from pathlib import Path

from rag_lightning.data.fields import for_task
from rag_lightning.data.files import ending_of, unlabelled_sample
from rag_lightning.data.near_duplicates import words_of
from rag_lightning.data.options import DataConfig
from rag_lightning.data.readers import READERS
from rag_lightning.data.reading import Reading
from rag_lightning.data.records import Record
from rag_lightning.data.text import read_text
from rag_lightning.errors import UserError

_FORMATS = {"jsonl": "jsonl", "ndjson": "jsonl", "json": "jsonl", "csv": "csv", "tsv": "csv", "parquet": "parquet"}
_FORMATS["conll"] = "conll"


def find_unlabelled(config: DataConfig) -> Path | None:
    """The file of further texts, if there is one: ``data.unlabelled`` as it stands or in ``data.path``.

    A sample brings its own, which is read where shots are set.

    Raises:
        UserError: if the file that is named does not exist.
    """
    if config.unlabelled is None:
        file = unlabelled_sample(config.path or "ner") if config.source == "sample" and config.few_shot else None
        return file if file is not None and file.is_file() else None
    named = Path(config.unlabelled).expanduser()
    places = [named]
    if config.source == "sample":
        places.append(unlabelled_sample(config.path or "ner").with_name(named.name))
    elif config.path is not None:
        folder = Path(config.path).expanduser()
        places.append((folder if folder.is_dir() else folder.parent) / named)
    for place in places:
        if place.is_file():
            return place
    raise UserError(
        f"there is no file {config.unlabelled}",
        where="data.unlabelled",
        remedy="Give a .txt file with a text a line, or a file like the data's own.",
    )


def read_unlabelled(file: Path, config: DataConfig, reading: Reading) -> list[Record]:
    """The file's texts as records without labels: of a .txt file each line, of others what a row has beside labels.

    Raises:
        UserError: for any mistake in the file.
    """
    format = _FORMATS.get(ending_of(file))
    if format is None:
        if further := _beside_text(config, reading):
            raise UserError(
                f"a line of text is no example for this task, which reads {' and '.join(further)} too",
                where="data.unlabelled",
                remedy="Give a .jsonl or .csv file with these fields.",
            )
        lines = read_text(file, config.encoding).split("\n")
        records: list[Record] = [
            {"source": f"{file.name}:{number}", "text": line.strip()} for number, line in enumerate(lines, 1)
        ]
    else:
        records = READERS[format](file, for_task(config, reading, labelled=False), "unlabelled")
    kept = [record for record in records if words_of(record)]
    return [{**record, "id": f"unlabelled-{number}"} for number, record in enumerate(kept)]


def _beside_text(config: DataConfig, reading: Reading) -> list[str]:
    """What an example has beside its text (words may stand for a text)."""
    given = set(config.fields).union(config.join or {}).difference(config.optional)
    return [field for field in reading.inputs if field in given and field not in ("text", "tokens")]
