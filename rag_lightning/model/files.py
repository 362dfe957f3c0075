"""A model's folder: which files it must hold, whether they are whole, and what they are (their digests)."""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from rag_lightning.config.inputs import note_input
from rag_lightning.config.paths import cache_dir
from rag_lightning.errors import UserError

# A tokenizer's vocabulary, as one file or as a set; tokenizer.json alone is the fast form.
VOCABULARIES: tuple[tuple[str, ...], ...] = (
    ("tokenizer.json",),
    ("vocab.txt",),
    ("vocab.json", "merges.txt"),
    ("spiece.model",),
    ("spm.model",),
    ("sentencepiece.bpe.model",),
    ("tokenizer.model",),
)
TOKENIZER_FILES = (
    *(file for files in VOCABULARIES for file in files),
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
HOW_TO_CONVERT = (
    "Convert it once: AutoModel.from_pretrained(FOLDER).save_pretrained(FOLDER) of transformers writes "
    "model.safetensors."
)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that hold the weights; shards that are named but missing are listed too."""
    index = folder / INDEX
    if not (folder / WEIGHTS).exists() and index.exists():
        shards = set(read_json(index).get("weight_map", {}).values())
        return [folder / name for name in sorted(shards)]
    return [folder / WEIGHTS]


def problem_of(folder: Path, *, weights: bool = True) -> UserError | None:
    """What keeps this folder from being used as a model, if anything.

    Args:
        folder: where config.json, the tokenizer's files and the weights should be.
        weights: False where only the architecture and the tokenizer are wanted.
    """
    place = str(folder)
    if not folder.is_dir():
        return UserError("This is not a folder", where=place, remedy="Give a model's folder in model.path.")
    if not (folder / "config.json").is_file():
        return UserError(
            "There is no config.json in this folder",
            where=place,
            remedy="Give a Hugging Face model's folder (config.json, model.safetensors, tokenizer.json).",
        )
    if not any(all((folder / file).is_file() for file in files) for files in VOCABULARIES):
        expected = ", ".join("+".join(files) for files in VOCABULARIES)
        return UserError(
            f"There is no tokenizer in this folder; one of these is expected: {expected}",
            where=place,
            remedy="Save it there: AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER).",
        )
    return _weights_problem(folder) if weights else None


def _weights_problem(folder: Path) -> UserError | None:
    files = weight_files(folder)
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        pickled = sorted(file.name for file in folder.iterdir() if file.suffix in PICKLES)
        if missing == [WEIGHTS] and pickled:
            return UserError(
                f"The weights are only there as {pickled[0]}, a pickle that can run code when it is read",
                where=str(folder),
                remedy=HOW_TO_CONVERT,
            )
        return UserError(
            f"The weights are missing: {', '.join(missing)}",
            where=str(folder),
            remedy="Get the file, or train from scratch with model.random_init=true.",
        )
    for file in files:
        if (fault := _safetensors_fault(file)) is not None:
            return UserError(f"The weights are damaged: {fault}", where=str(file), remedy="Copy or download it again.")
    return None


def _safetensors_fault(file: Path) -> str | None:
    """What is wrong with a safetensors file, told from its header and size without reading tensors."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > size - 8:
            return f"the file ends after {size} bytes, inside its header"
        try:
            header = json.loads(stream.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            return "its header is not that of a safetensors file"
    expected = 8 + length + max(ends, default=0)
    return None if size == expected else f"{expected} bytes were expected, the file has {size}"


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file; a UserError when it is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        remedy = "Copy or download the model again."
        raise UserError(f"This is not readable as JSON ({error})", where=str(file), remedy=remedy) from error
    if not isinstance(content, dict):
        raise UserError("A JSON object was expected", where=str(file), remedy="Copy or download the model again.")
    return content


def fingerprint(folder: Path, *, weights: bool = True) -> str:
    """What the model is, wherever it lies: a digest of config, tokenizer and weights (16 hex digits)."""
    names = [name for name in ("config.json", *TOKENIZER_FILES) if (folder / name).is_file()]
    files = [folder / name for name in names] + (weight_files(folder) if weights else [])
    lines = sorted(f"{file.name} {sha256_of(file)}" for file in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def sha256_of(file: Path) -> str:
    """A file's sha256, remembered by path, size and time of change: 90 MB are not read at each start."""
    note_input(file)
    state = file.stat()
    key = f"{file.resolve()}|{state.st_size}|{state.st_mtime_ns}"
    known = _known_digests()
    if key not in known:
        with file.open("rb") as stream:
            known[key] = hashlib.file_digest(stream, "sha256").hexdigest()
        _keep_digests(known)
    return known[key]


def _digest_file() -> Path:
    return cache_dir() / "digests.json"


def _known_digests() -> dict[str, str]:
    try:
        known = json.loads(_digest_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _keep_digests(known: dict[str, str]) -> None:
    """Best effort: where the cache cannot be written, the files are read again next time."""
    target = _digest_file()
    recent = dict(list(known.items())[-500:])
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=target.parent, delete=False, encoding="utf-8") as stream:
            json.dump(recent, stream)
        os.replace(stream.name, target)
    except OSError:
        return
