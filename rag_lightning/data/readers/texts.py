"""Running text: a paragraph a line, a blank line between documents."""

from pathlib import Path

from rag_lightning.data.options import DataConfig
from rag_lightning.data.records import Record
from rag_lightning.data.running_text import Paragraphs


def read(path: Path, config: DataConfig, split: str) -> list[Record]:
    """One record per line that is not blank, with ``text`` and ``document``, the place where its document begins.

    A file begins a document, and so does a line after a blank one, or one in which ``data.document_pattern`` is found.
    ``data.token_pattern`` keeps a part of each word between spaces, as of ``word/tag``. For a task that learns from
    running text it is not read at once, but as :class:`~rag_lightning.data.running_text.Paragraphs`.

    Raises:
        UserError: a file without text.
    """
    return list(Paragraphs.scan([path], config, None))
