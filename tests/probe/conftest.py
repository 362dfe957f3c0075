"""A bench of any backbone, without a run around it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rag_lightning.config.compose import compose
from rag_lightning.config.validate import validate_train
from rag_lightning.model.resolve import read_config, resolve
from rag_lightning.probe.measure import Bench, Subject, set_up
from rag_lightning.probe.registry import check_probes, read_probes

FEW = [
    "probe.drift.limit=20", "probe.drift.tokens=200", "probe.language.limit=8", "probe.similarity.limit=40",
    "probe.linear.limit=40", "probe.zero_shot.limit=40", "probe.prompts.limit=12",
]  # fmt: skip


@pytest.fixture
def bench_of() -> Callable[..., Bench]:
    """Probes of a model's folder on little text; ``probe=knowledge`` if none are named."""

    def made(folder: Path, *overrides: str, task: str = "summarization") -> Bench:
        names = [f"task={task}", "model=local", f"model.path={folder}"]
        config = validate_train(compose("train", names + list(overrides or ("probe=knowledge", *FEW))))
        model, shape = resolve(config.model), read_config(config.model)
        probes = check_probes(read_probes(config.probe), shape, model.folder)
        return set_up(Subject(config, model, "other data", "cpu"), probes)

    return made
