"""From the command line to a study."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from omegaconf import DictConfig

from rag_lightning.cli import run_job
from rag_lightning.errors import UserError


def run_study_job(config_name: str, find: Callable[[], Callable[[DictConfig, Sequence[str]], Any]]) -> None:
    """Run a study that gets the composed configuration and the words that the user typed.

    Args:
        find: imports the study, which takes longer than ``--help`` should.
    """

    def job(config: DictConfig) -> None:
        from hydra.core.hydra_config import HydraConfig

        if "-m" in sys.argv[1:] or "--multirun" in sys.argv[1:]:
            raise UserError("a study sweeps by itself", where="command line", remedy="Leave out -m; see its settings.")
        if config.dry_run:  # its runs would be recorded as failed, in place of the results that are there
            raise UserError(
                "a study has no dry run",
                where="dry_run",
                remedy="Leave it out: the first run of every arm is checked before any begins. "
                "For a single run: python -m rag_lightning.train dry_run=true.",
            )
        find()(config, list(HydraConfig.get().overrides.task))

    run_job(config_name, job)
