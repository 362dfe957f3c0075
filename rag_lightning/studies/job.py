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
        find()(config, list(HydraConfig.get().overrides.task))

    run_job(config_name, job)
