"""conf/logger: every choice composes, names known arguments, and becomes Lightning loggers of this run."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from rag_lightning.config.targets import check_target

CONF = Path(__file__).parents[2] / "conf"
ALLOWED = ["pytorch_lightning.loggers.*"]
EXPECTED = {
    "none": [],
    "csv": [CSVLogger],
    "tensorboard": [TensorBoardLogger],
    "wandb": [WandbLogger],
    "many": [CSVLogger, TensorBoardLogger, WandbLogger],
}


@pytest.mark.parametrize("choice", sorted(path.stem for path in (CONF / "logger").glob("*.yaml")))
def test_choice_becomes_loggers(choice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_PROJECT", "WANDB_ENTITY"):
        monkeypatch.delenv(name, raising=False)
    run = {"folder": str(tmp_path), "name": "größe-lr3e-5", "id": "ab12", "group": "sweep"}
    with initialize_config_dir(str(CONF)):
        overrides = [f"+logger={choice}", *(f"+run.{key}='{value}'" for key, value in run.items())]
        config = OmegaConf.to_container(compose(overrides=overrides), resolve=True)
    assert isinstance(config, dict)
    loggers: list[Logger] = []
    for name, node in (config["logger"] or {}).items():
        check_target(f"logger.{name}", node)
        loggers.append(instantiate(node, _convert_="all", _execution_whitelist_=ALLOWED))
    assert [type(logger) for logger in loggers] == EXPECTED[choice]
    for logger in loggers:
        assert logger.save_dir is not None
        assert Path(logger.save_dir) == tmp_path
        if isinstance(logger, WandbLogger):
            assert logger.version == "ab12"
            assert logger._wandb_init["group"] == "sweep"
            assert logger._wandb_init["entity"] is None
            assert logger.name == "rag_lightning"
    assert list(tmp_path.iterdir()) == []  # nothing is started or written before the run
