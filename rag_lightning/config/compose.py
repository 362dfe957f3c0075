"""Compose a configuration without Hydra's command line, for Python and notebooks."""

from omegaconf import DictConfig

from rag_lightning.config.explain import explain
from rag_lightning.config.paths import conf_dir


def compose(config_name: str, overrides: list[str]) -> DictConfig:
    """``conf/<config_name>.yaml`` with overrides as on the command line.

    Raises:
        UserError: for an unknown key or option, with the nearest valid one.
    """
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    previous = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(conf_dir())):
            return hydra.compose(config_name, overrides=overrides)
    except Exception as exception:
        mistake = explain(exception, config_name, overrides)
        if mistake is None:
            raise
        raise mistake from None
    finally:
        GlobalHydra.instance().clear()
        GlobalHydra.instance().hydra = previous
