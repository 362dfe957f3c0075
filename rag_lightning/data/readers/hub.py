"""A data set of the Hugging Face Hub, or of its local cache: the parquet files of each split."""

import re
from collections.abc import Iterable
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from rag_lightning.data.options import DataConfig
from rag_lightning.deadline import first_line, within
from rag_lightning.errors import UserError

_REQUEST_S = 4.0
# The library's timeouts cover neither name resolution nor several addresses in a row.
_WALL_S = 6.0
_NAMES = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
_INSTEAD = "Use files (data.path=FOLDER), the embedded sample (data=ner_sample), or a mirror (HF_ENDPOINT=https://…)."


def download(config: DataConfig) -> dict[str, list[Path]]:
    """Split -> its parquet files, downloaded if need be. Without network, what was downloaded before is used.

    Raises:
        UserError: within 20 s, if the Hub does not answer; if there is no such data set, revision or subset.
    """
    name = config.hub_dataset
    try:
        info = within(
            _WALL_S, lambda: huggingface_hub.HfApi().dataset_info(name, revision=config.revision, timeout=_REQUEST_S)
        )
    except Exception as error:
        if (said := _known_error(error, config)) is not None:
            raise said from None
        return _cached(config, error)
    files = [file.rfilename for file in info.siblings or () if file.rfilename.endswith(".parquet")]
    wanted = _by_split(files, config)
    try:
        found = _fetch(config, [file for files in wanted.values() for file in files], info.sha or config.revision)
    except Exception as error:
        raise UserError(
            f"the download of the data set '{config.hub_name}' broke off ({first_line(error)})",
            where="data.hub_name",
            remedy="Start the same command again: it goes on where the download was.",
        ) from error
    return {split: [found / file for file in files] for split, files in wanted.items()}


def _fetch(config: DataConfig, files: list[str], commit: str) -> Path:
    """The folder that holds the files.

    The last one is asked for by the revision's name, which makes the library note the revision's commit: a start
    without network finds a data set by that note, and so never one of which only a part was downloaded.
    """
    for number, file in enumerate(files, 1):
        path = huggingface_hub.hf_hub_download(
            str(config.hub_name),
            file,
            repo_type="dataset",
            revision=commit if number < len(files) else config.revision,
            etag_timeout=_REQUEST_S,
        )
    return Path(path.removesuffix(file))


def _cached(config: DataConfig, reason: Exception) -> dict[str, list[Path]]:
    try:
        folder = huggingface_hub.snapshot_download(
            str(config.hub_name), repo_type="dataset", revision=config.revision, local_files_only=True
        )
    except Exception:
        why = "HF_HUB_OFFLINE is set" if isinstance(reason, OfflineModeIsEnabled) else first_line(reason)
        raise UserError(
            f"the data set '{config.hub_name}' is not in the local cache and cannot be downloaded ({why})",
            where="data.hub_name",
            remedy=_INSTEAD,
        ) from reason
    there = Path(folder)
    wanted = _by_split([file.relative_to(there).as_posix() for file in there.rglob("*.parquet")], config)
    return {split: [there / file for file in files] for split, files in wanted.items()}


def _known_error(error: Exception, config: DataConfig) -> UserError | None:
    """The error of a Hub that did answer."""
    name = config.hub_name
    if isinstance(error, GatedRepoError):
        return UserError(
            f"the data set '{name}' is gated: its owner lets only registered users have it",
            where="data.hub_name",
            remedy=f"Accept the terms at https://huggingface.co/datasets/{name}, then log in: hf auth login.",
        )
    if isinstance(error, RevisionNotFoundError):
        return UserError(
            f"the data set '{name}' has no revision '{config.revision}'",
            where="data.revision",
            remedy="Set data.revision=main if its files are parquet; else download them and use data.path.",
        )
    if isinstance(error, RepositoryNotFoundError | HFValidationError):
        return UserError(
            f"there is no data set '{name}' on the Hub, or it is private",
            where="data.hub_name",
            remedy="Names look like eriktks/conll2003. For a private one log in first: hf auth login.",
        )
    return None


def _subset(files: Iterable[str], config: DataConfig) -> str | None:
    """The first folder of the files that are wanted; None where they lie at the top or in folders of splits."""
    folders = sorted({file.split("/")[0] for file in files if "/" in file})
    splits = {name for names in _NAMES.values() for name in names}
    if config.config is not None:
        if config.config not in folders:
            raise UserError(
                f"the data set '{config.hub_name}' has no subset '{config.config}'",
                where="data.config",
                remedy=f"Choose one of: {', '.join(folders) or 'none, leave data.config out'}.",
            )
        return config.config
    subsets = [name for name in folders if name not in splits and name != "data"]
    if len(subsets) > 1 and "default" not in subsets:
        raise UserError(
            f"the data set '{config.hub_name}' has several subsets",
            where="data.config",
            remedy=f"Choose one of: {', '.join(subsets)}.",
        )
    if subsets:
        return "default" if "default" in subsets else subsets[0]
    return None


def _by_split(files: Iterable[str], config: DataConfig) -> dict[str, list[str]]:
    """The parquet files of each split: ``subset/train/0000.parquet``, ``data/train-00000-of-00001.parquet`` …"""
    files = sorted(files)
    subset = _subset(files, config)
    found: dict[str, list[str]] = {}
    for file in files:
        if subset is not None and not file.startswith(f"{subset}/"):
            continue
        parts = re.split(r"[/.-]", file.removeprefix(f"{subset}/"))
        split = next((split for split, names in _NAMES.items() if any(name in parts for name in names)), None)
        if split is not None:
            found.setdefault(split, []).append(file)
    if "train" not in found:
        raise UserError(
            f"the data set '{config.hub_name}' has no parquet files of a train split at revision '{config.revision}'",
            where="data.hub_name",
            remedy="Download its files and use data.path=FOLDER.",
        )
    return {split: found[split] for split in _NAMES if split in found}
