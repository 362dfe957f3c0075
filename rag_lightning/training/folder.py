"""A run's folder: what lies where, who is working in it, and how far it has come."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from rag_lightning.console import is_rank_zero
from rag_lightning.errors import UserError
from rag_lightning.report.files import dump_yaml, write_json


class Busy(UserError):
    """Another process is at work in a run's folder."""


@dataclass(frozen=True)
class RunFolder:
    """Paths and state of one run."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        return self.path / "model"

    def status(self) -> dict[str, Any]:
        """``{"state": "running" | "finished" | "stopped" | "failed", …}``, empty for a new run."""
        try:
            status = json.loads((self.path / "status.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return status if isinstance(status, dict) else {}

    def set_status(self, state: str, **more: Any) -> None:
        if is_rank_zero():
            kept = {k: v for k, v in self.status().items() if k in ("seconds", "started")}
            write_json(self.path / "status.json", {**kept, "state": state, "time": time.strftime("%FT%T"), **more})

    def finished(self) -> bool:
        return self.status().get("state") == "finished" and (self.path / "metrics.json").is_file()

    def metrics(self) -> dict[str, float]:
        """The metrics of a finished run as ``split/name``."""
        return dict(self.status().get("metrics", {}))

    def clear(self) -> None:
        """Remove what an earlier run left, but not the folder itself (the lock lies in it)."""
        for item in self.path.iterdir() if self.path.is_dir() else ():
            if item.name != ".lock":
                shutil.rmtree(item) if item.is_dir() else item.unlink()

    def write_config(self, plain: dict[str, Any], identity: dict[str, Any]) -> None:
        """``config.yaml``: everything needed to do this run again or to evaluate it."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "config.yaml").write_text(dump_yaml(plain), encoding="utf-8")
        write_json(self.path / "run.json", identity)

    def read_config(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What :meth:`write_config` wrote.

        Raises:
            UserError: if this is no folder of a finished run.
        """
        try:
            plain = yaml.safe_load((self.path / "config.yaml").read_text(encoding="utf-8"))
            identity = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            others = sorted(str(p.parent) for p in self.path.parent.glob("*/run.json"))[:8]
            remedy = (
                f"Runs beside it: {', '.join(others)}." if others else "Train one with python -m rag_lightning.train."
            )
            raise UserError(f"not a run's folder ({error})", where=str(self.path), remedy=remedy) from None
        return plain, identity

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second process out; the lock goes with the process, also when it is killed.

        Raises:
            Busy: if another process is at work here.
        """
        if not is_rank_zero():
            yield
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"the folder cannot be made ({error.strerror})", where=str(self.path), remedy="Set output_dir=…."
            ) from None
        lock = FileLock(str(self.path / ".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise Busy(
                "another process is running this very run",
                where=str(self.path),
                remedy="Wait for it, or stop it first.",
            ) from None
        try:
            yield
        finally:
            lock.release()
