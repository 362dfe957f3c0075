"""A model from the Hugging Face Hub or its local cache: safetensors only, and an answer in bounded time."""

import contextlib
import re
import time
from functools import cache
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from rag_lightning.deadline import first_line, within
from rag_lightning.errors import UserError, nearest
from rag_lightning.model.files import INDEX, PICKLES, TOKENIZER_FILES, WEIGHTS, problem_of

REQUEST_S = 4.0
# The library's timeouts cover neither name resolution nor several addresses in a row, and one of its two
# stages retries: this wall bounds both stages, so that "no network" is said in 2 * WALL_S at most.
WALL_S = 5.0
REMEMBER_OUTAGE_S = 60.0
WITHOUT_HUB = (
    "Use a folder (model.path=FOLDER), the embedded model (model=minilm) or a mirror "
    "(HF_ENDPOINT=https://...); HF_HUB_OFFLINE=1 uses only what was downloaded before."
)
_outages: dict[str, tuple[float, str]] = {}


class _Unreachable(Exception):
    """The Hub gave no usable answer; the message says why."""


def fetch(name: str, revision: str | None, *, weights: bool, code: bool, known: list[str]) -> Path:
    """The local folder of a Hub model, downloaded if need be.

    Args:
        name: the repository, such as ``google-bert/bert-base-cased``.
        revision: branch, tag or commit; None is the main branch.
        weights: False leaves the weights out (config and tokenizer only).
        code: also fetch Python files (the user trusts the model's code).
        known: names to suggest when this one does not exist.
    """
    cached = cached_folder(name, revision)
    pinned = revision is not None and re.fullmatch(r"[0-9a-f]{40}", revision) is not None
    if pinned and cached is not None and problem_of(cached, weights=weights) is None:
        return cached
    try:
        files, commit = _listing(name, revision, known)
    except _Unreachable as reason:
        return _from_cache(name, cached, weights, str(reason))
    wanted = _select(name, files, weights=weights, code=code)
    folder = _config_folder(name, revision, commit)
    try:
        for file in wanted:
            huggingface_hub.hf_hub_download(name, file, revision=folder.name, etag_timeout=REQUEST_S)
    except Exception as error:
        raise UserError(
            f"The download of the model '{name}' broke off ({first_line(error)})",
            where="model.name",
            remedy="Start the same command again: it goes on where the download was.",
        ) from error
    return folder


def fetch_config(name: str, revision: str | None, *, known: list[str]) -> Path:
    """The local path of the model's config.json alone."""
    cached = cached_folder(name, revision)
    try:
        _, commit = _listing(name, revision, known)
    except _Unreachable as reason:
        if cached is None:
            raise _no_hub(name, str(reason)) from None
        return cached / "config.json"
    return _config_folder(name, revision, commit) / "config.json"


def cached_folder(name: str, revision: str | None) -> Path | None:
    """The folder in the local cache that holds this model's config.json, if there is one."""
    try:
        found = huggingface_hub.try_to_load_from_cache(name, "config.json", revision=revision)
    except HFValidationError as error:
        raise UserError(
            f"'{name}' is not a valid model name on the Hub",
            where="model.name",
            remedy="Names look like google-bert/bert-base-cased; a folder goes into model.path.",
        ) from error
    return Path(found).parent if isinstance(found, str) else None


def _from_cache(name: str, cached: Path | None, weights: bool, reason: str) -> Path:
    if cached is None:
        raise _no_hub(name, reason)
    if (problem := problem_of(cached, weights=weights)) is not None:
        raise _no_hub(name, f"{reason}, and only a part of it was downloaded before: {problem.reason}")
    return cached


def _no_hub(name: str, reason: str) -> UserError:
    return UserError(
        f"The model '{name}' is not in the local cache and cannot be downloaded: {reason}",
        where="model.name",
        remedy=WITHOUT_HUB,
    )


def _listing(name: str, revision: str | None, known: list[str]) -> tuple[tuple[str, ...], str]:
    """The repository's files and its commit; an outage is remembered for a minute."""
    endpoint = huggingface_hub.constants.ENDPOINT
    if endpoint in _outages and time.monotonic() - _outages[endpoint][0] < REMEMBER_OUTAGE_S:
        raise _Unreachable(_outages[endpoint][1])
    try:
        return within(WALL_S, lambda: _ask(name, revision))
    except GatedRepoError as error:
        raise _gated(name) from error
    except RevisionNotFoundError as error:
        raise UserError(f"The model '{name}' has no revision '{revision}'", where="model.revision") from error
    except RepositoryNotFoundError as error:
        close = nearest(name, known, 3)
        hint = f"Did you mean {' or '.join(close)}?" if close else "Check the spelling."
        raise UserError(
            f"There is no model '{name}' on the Hub, or it is private",
            where="model.name",
            remedy=f"{hint} For a private model log in first: hf auth login.",
        ) from error
    except OfflineModeIsEnabled as error:
        raise _Unreachable("HF_HUB_OFFLINE is set") from error
    except Exception as error:  # the HTTP library and its errors differ between versions of huggingface_hub
        reason = f"no answer from {endpoint} ({first_line(error)})"
        _outages[endpoint] = (time.monotonic(), reason)
        raise _Unreachable(reason) from error


@cache
def _ask(name: str, revision: str | None) -> tuple[tuple[str, ...], str]:
    info = huggingface_hub.HfApi().model_info(name, revision=revision, timeout=REQUEST_S)
    if info.sha is None:
        raise ValueError("the answer names no commit")
    return tuple(file.rfilename for file in info.siblings or ()), info.sha


def _config_folder(name: str, revision: str | None, commit: str) -> Path:
    """The snapshot's folder, with config.json in it.

    Asking by the branch's name makes the library note which commit the branch is at: the offline start
    needs that note. The other files are then asked for by commit, which costs no request for cached ones.
    """
    cached = cached_folder(name, revision)
    if cached is not None and cached.name == commit:
        return cached
    try:
        file = within(
            WALL_S,
            lambda: huggingface_hub.hf_hub_download(name, "config.json", revision=revision, etag_timeout=REQUEST_S),
        )
    except GatedRepoError as error:
        raise _gated(name) from error
    except huggingface_hub.errors.EntryNotFoundError as error:
        raise UserError(f"The repository '{name}' holds no config.json", where="model.name") from error
    except Exception as error:
        raise _no_hub(name, f"config.json did not arrive ({first_line(error)})") from error
    return Path(file).parent


def _gated(name: str) -> UserError:
    return UserError(
        f"The model '{name}' is gated: its owner lets only registered users have it",
        where="model.name",
        remedy=f"Accept the terms at https://huggingface.co/{name}, then log in: hf auth login.",
    )


def _select(name: str, files: tuple[str, ...], *, weights: bool, code: bool) -> list[str]:
    """The files to fetch: never pickles, never other frameworks' weights or sub-folders."""
    top = [file for file in files if "/" not in file]
    wanted = [file for file in top if file in TOKENIZER_FILES or (code and file.endswith(".py"))]
    if not weights:
        return wanted
    if WEIGHTS in top:
        return [*wanted, WEIGHTS]
    if INDEX in top:
        shards = [file for file in top if re.fullmatch(r"model-\d+-of-\d+\.safetensors", file)]
        return [*wanted, INDEX, *shards]
    pickled = [file for file in top if file.endswith(PICKLES)]
    only = f"only as {pickled[0]}, a pickle that can run code when it is read" if pickled else "not at all"
    raise UserError(
        f"The weights of '{name}' are on the Hub {only}; safetensors are needed",
        where="model.name",
        remedy=_converted_revision(name)
        or "Convert them once where you trust them (AutoModel.from_pretrained, save_pretrained) and use "
        "model.path=FOLDER.",
    )


def _converted_revision(name: str) -> str | None:
    """The pull request in which the Hub's own bot offers the weights as safetensors."""
    with contextlib.suppress(Exception):  # only a hint: without it the error is said all the same
        offers = within(
            WALL_S,
            lambda: list(
                huggingface_hub.HfApi().get_repo_discussions(
                    name, author="SFconvertbot", discussion_type="pull_request"
                )
            ),
        )
        if offers:
            return f"The Hub's conversion bot offers them: add model.revision=refs/pr/{offers[0].num}."
    return None
