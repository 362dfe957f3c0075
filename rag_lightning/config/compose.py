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
            return hydra.compose(config_name, overrides=overrides, return_hydra_config=True)
    except Exception as exception:
        mistake = explain(exception, config_name, overrides)
        if mistake is None:
            raise
        raise mistake from None
    finally:
        GlobalHydra.instance().clear()
        GlobalHydra.instance().hydra = previous


def group_choices(config: DictConfig) -> dict[str, str]:
    """Which option of each group a configuration was composed of; empty if it does not tell."""
    from hydra.core.hydra_config import HydraConfig

    if "hydra" in config:
        choices = config.hydra.runtime.choices
    elif HydraConfig.initialized():
        choices = HydraConfig.get().runtime.choices
    else:
        return {}
    return {str(group): str(choice) for group, choice in choices.items() if "/" not in str(group) and choice}
