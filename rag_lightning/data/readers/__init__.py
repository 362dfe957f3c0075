"""One reader per format: ``read(path, config, split)`` gives the file's records."""

from collections.abc import Callable
from pathlib import Path

from rag_lightning.data.options import DataConfig
from rag_lightning.data.readers import (
    conll,
    csv,
    jsonl,
    labelled_lines,
    parallel,
    parquet,
    semeval,
    squad,
    texts,
)
from rag_lightning.data.records import Record

READERS: dict[str, Callable[[Path, DataConfig, str], list[Record]]] = {
    "conll": conll.read,
    "jsonl": jsonl.read,
    "csv": csv.read,
    "parquet": parquet.read,
    "labelled_lines": labelled_lines.read,
    "squad": squad.read,
    "semeval": semeval.read,
    "parallel": parallel.read,
    "texts": texts.read,
}
