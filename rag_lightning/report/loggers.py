"""Start and end the loggers of a run, so that the next run in this process starts its own."""

import logging
import os
import sys
from collections.abc import Iterable

from pytorch_lightning.loggers import Logger, WandbLogger

from rag_lightning.errors import UserError

log = logging.getLogger(__name__)
_MODE = os.environ.get("WANDB_MODE")


def start_loggers(loggers: Iterable[Logger]) -> None:
    """Begin W&B runs now, before anything expensive is built.

    Raises:
        UserError: where W&B refuses: nobody is logged in, no network, a project that may not be written.
    """
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            logger._wandb_init.pop("anonymous", None)  # Lightning always sets it, and W&B warns of it
            try:
                _ = logger.experiment
            except wandb.Error as error:
                wandb.teardown()
                reason = str(error).splitlines()[0].rstrip(".")
                silent = any(word in reason for word in ("deadline exceeded", "timed out", "connection"))
                raise UserError(
                    f"{'the W&B server cannot be reached' if silent else 'W&B could not start a run'} ({reason})",
                    where="logger.wandb",
                    remedy="Check the network and log in with `wandb login`, or add logger.wandb.offline=true and send "
                    "the run later.",
                ) from None


def close_loggers(loggers: Iterable[Logger], failed: bool = False) -> list[str]:
    """Finish every logger; one that fails is reported and does not keep the others from being closed.

    Returns:
        Sentences for the reader, such as how to send an offline W&B run.
    """
    said: list[str] = []
    for logger in loggers:
        try:
            if isinstance(logger, WandbLogger):
                said += _finish_wandb(logger, failed)
            else:
                logger.finalize("failed" if failed else "success")
        except Exception as error:
            log.warning("%s could not be closed: %s", type(logger).__name__, error)
    return said


def _finish_wandb(logger: WandbLogger, failed: bool) -> list[str]:
    if getattr(logger, "_offline", False):
        # Lightning writes the mode into the environment, where it would bind every later run of this process.
        if _MODE is None:
            os.environ.pop("WANDB_MODE", None)
        else:
            os.environ["WANDB_MODE"] = _MODE
    run = getattr(sys.modules.get("wandb"), "run", None)  # no import for a logger that was never used
    if run is None:
        return []
    offline, folder = bool(run.offline), run.settings.sync_dir
    run.finish(exit_code=int(failed))
    # Without this the session keeps its mode: an offline run after an online one would be sent all the same.
    sys.modules["wandb"].teardown()
    return [f"The W&B run is stored offline; send it with: wandb sync {folder}"] if offline else []
