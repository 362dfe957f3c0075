"""``python -m rag_lightning.label_efficiency``: how far labels go, plainly and with rules; see ``--help``."""

import sys
from typing import Any

from omegaconf import DictConfig

from rag_lightning.cli import run_job


def _job(config: DictConfig) -> Any:
    from hydra.core.hydra_config import HydraConfig

    from rag_lightning.errors import UserError
    from rag_lightning.studies.label_efficiency import run_study

    if "-m" in sys.argv[1:] or "--multirun" in sys.argv[1:]:
        raise UserError("a study sweeps by itself", where="command line", remedy="Leave out -m; see study.arms.")
    run_study(config, list(HydraConfig.get().overrides.task))


def main() -> None:
    run_job("label_efficiency", _job)


if __name__ == "__main__":
    main()
