"""Checkpoints that are whole or absent, and known by their digest."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import IO, Any, cast

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning_fabric.utilities.types import _PATH

from rag_lightning.errors import UserError
from rag_lightning.report.files import write_json

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class _Hashing:
    """A binary file that hashes what passes through."""

    def __init__(self, file: Any) -> None:
        self.file, self.digest = file, hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            written = self.file.write(data)
        except OSError as error:  # torch reports its own error then; this one says why
            self.error = error
            raise
        self.digest.update(data)
        return int(written)

    def flush(self) -> None:
        self.file.flush()


def write_whole(path: Path, value: Any) -> str:
    """``torch.save`` beside, flush to disk, then rename: a reader sees the old file or the new one.

    Returns:
        The sha256 of the file.

    Raises:
        UserError: if the disk is full; nothing half-written stays behind.
    """
    beside = path.with_name(path.name + ".part")
    hashing: _Hashing | None = None
    try:
        with open(beside, "wb", buffering=1 << 20) as file:
            hashing = _Hashing(file)
            torch.save(value, cast(IO[bytes], hashing))
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except (OSError, RuntimeError) as error:
        beside.unlink(missing_ok=True)
        cause = error if isinstance(error, OSError) else (hashing.error if hashing else None)
        if cause is not None and cause.errno in FULL:
            free = shutil.disk_usage(path.parent).free / 1e6
            raise UserError(
                f"the disk is full ({free:.0f} MB free), the checkpoint could not be written",
                where=str(path),
                remedy="The one before it is kept. Free some space, or set output_dir to a larger disk; the same "
                "command then goes on from there.",
            ) from None
        raise
    return hashing.digest.hexdigest()


def digest_path(checkpoint: Path) -> Path:
    """Where a checkpoint's size and digest are kept."""
    return checkpoint.with_suffix(".json")


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint has the size and digest that it was written with."""
    try:
        expected = json.loads(digest_path(checkpoint).read_text(encoding="utf-8"))
        if checkpoint.stat().st_size != expected["size"]:
            return False
        with open(checkpoint, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == expected["sha256"]
    except (OSError, ValueError, KeyError):
        return False


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint files, written whole, with a digest beside each."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any = None) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = write_whole(target, checkpoint)
        write_json(digest_path(target), {"sha256": digest, "size": target.stat().st_size})

    def load_checkpoint(self, path: _PATH, map_location: Any = None, weights_only: bool | None = None) -> Any:
        return torch.load(path, map_location=map_location or "cpu", weights_only=True)

    def remove_checkpoint(self, path: _PATH) -> None:
        Path(path).unlink(missing_ok=True)
        digest_path(Path(path)).unlink(missing_ok=True)
