"""An exported folder: what lies beside every network, and how it gets to its place whole."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag_lightning.errors import UserError
from rag_lightning.export.graph import spec_of
from rag_lightning.export.spec import write_spec
from rag_lightning.export.tokenizer import FILE as TOKENIZER
from rag_lightning.guidance.saved import RULES, TEMPLATE
from rag_lightning.inference.saved import SavedRun


def write_beside(run: SavedRun, folder: Path, inputs: tuple[str, ...]) -> None:
    """Tokenizer, rules, template, settings and the model card."""
    run.words.tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
    for name in (RULES, TEMPLATE, "README.md"):
        if (run.folder.model / name).is_file():
            shutil.copy(run.folder.model / name, folder / name)
    write_spec(folder, *spec_of(run, inputs))


@contextmanager
def made_whole(target: Path, force: bool) -> Iterator[Path]:
    """A folder to write, which takes its place when all is done; after an error nothing has changed.

    Raises:
        UserError: if the place is taken, and ``force`` is not set; or cannot be written.
    """
    if target.exists() and not force:
        raise UserError("there is something already", where=str(target), remedy="Add force=true, or output=FOLDER.")
    beside, former = (target.with_name(f"{target.name}.{end}") for end in ("part", "former"))
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        yield beside
        shutil.rmtree(former, ignore_errors=True)
        if target.exists():
            os.replace(target, former)
        os.replace(beside, target)
    except OSError as error:
        raise UserError(f"the folder cannot be written ({error.strerror or error})", where=str(target)) from None
    finally:
        if former.exists() and not target.exists():
            os.replace(former, target)
        shutil.rmtree(former, ignore_errors=True)
        shutil.rmtree(beside, ignore_errors=True)
