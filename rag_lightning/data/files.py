"""Which file holds which split."""

from collections.abc import Sequence
from fnmatch import fnmatch
from importlib.resources import as_file, files
from pathlib import Path

from rag_lightning.data.fields import candidates
from rag_lightning.data.options import SAMPLE_FORMATS, SPLITS, DataConfig
from rag_lightning.errors import UserError, nearest

SplitPaths = dict[str, list[Path]]

_ENDINGS = {
    "conll": ("conll", "txt", "tsv", "iob", "iob2", "bio", "bioes", "bmes", "annotated", "ner"),
    "jsonl": ("jsonl", "ndjson", "json"),
    "csv": ("csv", "tsv", "txt"),
    "parquet": ("parquet",),
    "labelled_lines": ("txt", "label", "lines"),
    "squad": ("json",),
    "semeval": ("txt",),
    "texts": ("txt", "text", "tokens", "raw"),
}
_STEMS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "testing"),
}
_CONLL_2003 = {
    "train": ("eng.train", "*.train"),
    "validation": ("eng.testa", "*testa*"),
    "test": ("eng.testb", "*testb*"),
}
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z")
_NOT_DATA = frozenset((".md", ".rst", ".py", ".sh", ".yaml", ".yml", ".toml", ".log", ".pdf", ".png", ".html", ".zip"))


def find_files(config: DataConfig, only: str | None = None) -> SplitPaths:
    """The files of each split, existing ones only. One file in all stands under ``train``.

    Args:
        config: names the folder or file.
        only: the one split that is wanted; then no training file is needed.

    Raises:
        UserError: no path, nothing there, no training file, or two files that could both be meant.
    """
    if config.path is None:
        if not config.names_files():
            raise UserError(
                f"data={config.format} needs a file or folder",
                where="data.path",
                remedy="Set data.path=folder or data.path=file.",
            )
        return _named_files(config, Path(), only)
    path = Path(config.path).expanduser()
    if path.is_file():
        patterns = [pattern for split in SPLITS for pattern in getattr(config.files, split) or ()]
        if patterns and not any(fnmatch(path.name, pattern) for pattern in patterns):
            raise UserError(
                f"{path} is a file, and data.files names files of a folder",
                where="data.files",
                remedy="Set data.path to the folder, or name this file in data.files.train.",
            )
        return {"train": [path]}
    if not path.is_dir():
        raise UserError(f"there is no file or folder {path}", where="data.path", remedy=_what_is_near(path))
    return _named_files(config, path, only)


def find_sample(config: DataConfig) -> SplitPaths:
    """The files of an embedded sample."""
    root = files("rag_lightning.data") / "samples"
    name = config.path or "ner"
    folder = root / name
    if "/" in name or "\\" in name or not folder.is_dir():
        there = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("_"))
        raise UserError(
            f"there is no embedded sample `{name}`", where="data.path", remedy=f"Choose one of: {', '.join(there)}."
        )
    found: SplitPaths = {}
    for split in SPLITS:
        for ending in SAMPLE_FORMATS:
            with as_file(folder / f"{split}.{ending}") as file:
                if file.is_file():
                    found[split] = [file]
    return found


def unlabelled_sample(name: str = "ner") -> Path:
    """The file of the sample's unlabelled texts."""
    with as_file(files("rag_lightning.data") / "samples" / name / "unlabelled.txt") as file:
        return file


def _named_files(config: DataConfig, folder: Path, only: str | None = None) -> SplitPaths:
    there = sorted(entry for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith((".", "_")))
    if config.file_format == "parallel":
        there = [file for file in there if ending_of(file) in _endings(config)]
    found: SplitPaths = {}
    for split in SPLITS:
        if asked := getattr(config.files, split):
            files = _asked_files(asked, split, folder, there)
            found[split] = [file for file in files if file not in _taken(found)]
    for split in SPLITS:
        if getattr(config.files, split) is None:
            chosen = _conventional_file(config, split, [file for file in there if file not in _taken(found)], folder)
            found[split] = [chosen] if chosen else []
    found = {split: found[split] for split in SPLITS if found.get(split)}
    if "train" not in found and only not in found:
        data = [file for file in there if ending_of(file) in _endings(config)]
        if config.file_format == "texts":
            data = sorted(file for file in folder.rglob("*") if ending_of(file) in _endings(config) and file.is_file())
        if not found and (len(data) == 1 or (data and config.file_format == "texts")):
            return {"train": data}
        archive = "" if data else _unpack(there)
        raise UserError(
            f"no training file ({_patterns(config, 'train')[0]} …) is in {folder}; it holds {_listing(there)}",
            where="data.path",
            remedy=archive or f"Name the file with data.files.train={there[0].name if there else 'FILE'}.",
        )
    return found


def _taken(found: SplitPaths) -> set[Path]:
    return {file for files in found.values() for file in files}


def _asked_files(patterns: Sequence[str], split: str, folder: Path, there: Sequence[Path]) -> list[Path]:
    for pattern in patterns:
        for direct in (folder / pattern, Path(pattern).expanduser()):
            if direct.is_file():
                return [direct]
        if matching := [file for file in there if fnmatch(file.name, pattern)]:
            return matching
    close = nearest(patterns[0], [file.name for file in there])
    near = f"Did you mean data.files.{split}={close[0]}?" if close else ""
    raise UserError(
        f"no file in {folder} matches {' or '.join(patterns)}; the folder holds {_listing(there)}",
        where=f"data.files.{split}",
        remedy=near or _unpack(there) or "Name one of these files.",
    )


def _unpack(there: Sequence[Path]) -> str:
    """What to do about an archive, which is not looked into; empty where there is none."""
    archive = next((file.name for file in there if file.name.lower().endswith(_ARCHIVES)), None)
    return f"Unpack {archive}, and let data.path name the folder with its files." if archive else ""


def _conventional_file(config: DataConfig, split: str, there: Sequence[Path], folder: Path) -> Path | None:
    for pattern in _patterns(config, split):
        matching = [file for file in there if fnmatch(file.name.lower(), pattern) and file.suffix not in _NOT_DATA]
        if len(matching) > 1:
            names = ", ".join(file.name for file in matching)
            raise UserError(
                f"several files in {folder} could be the {split} split: {names}",
                where="data.path",
                remedy=f"Say which with data.files.{split}={matching[0].name} (a list reads them all).",
            )
        if matching:
            return matching[0]
    return None


def _patterns(config: DataConfig, split: str) -> list[str]:
    """From the exact conventional names to anything that has the word in its name.

    In a folder of running text the names are those of the texts, so that only exact ones are of splits.
    """
    format, endings = config.file_format, _endings(config)
    exact = [f"{stem}.{ending}{packed}" for stem in _STEMS[split] for ending in endings for packed in ("", ".gz")]
    if format == "texts":
        return exact
    special = list(_CONLL_2003[split]) if format == "conll" else []
    suffix = [f"*.{stem}" for stem in _STEMS[split]] if format == "conll" else []
    loose = [f"*{stem}*.{ending}{packed}" for stem in _STEMS[split] for ending in endings for packed in ("", ".gz")]
    return exact + special + suffix + loose


def _endings(config: DataConfig) -> tuple[str, ...]:
    if config.file_format == "parallel":  # the files of the side that is translated; the reader finds the other
        return tuple(str(name) for name in candidates(config.fields.get("text")))
    return _ENDINGS[config.file_format]


def ending_of(file: Path) -> str:
    """``csv`` of ``train.csv`` and ``train.CSV.gz``."""
    return Path(file.name.removesuffix(".gz")).suffix.removeprefix(".").lower()


def _listing(there: Sequence[Path], most: int = 12) -> str:
    names = [file.name for file in there[:most]] + (["…"] if len(there) > most else [])
    return ", ".join(names) or "no files"


def _what_is_near(path: Path) -> str:
    parent = path.parent
    if not parent.is_dir():
        return f"Check the path; it starts from {Path.cwd()}."
    names = sorted(entry.name for entry in parent.iterdir() if not entry.name.startswith("."))
    close = nearest(path.name, names)
    if close:
        return f"Did you mean {parent / close[0]}?"
    return f"The folder {parent.absolute()} holds {', '.join(names[:12]) or 'nothing'}."
