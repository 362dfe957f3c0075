"""Trials that share data, template, rules and tokenizer share one cache: only what changed is encoded."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rag_lightning.config.compose import compose
from rag_lightning.encoding.datamodule import GuidedDataModule
from rag_lightning.training.build import build_data
from rag_lightning.training.plan import make_plan

Overrides = Callable[..., list[str]]
RULES = """
description: Find names.
labels: {PER: person, LOC: place, ORG: group, MISC: other}
rules: {capitals: {pattern: '(?P<PER>\\p{Lu}\\p{Ll}+)'}}
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_LIGHTNING_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "names.yaml"
    file.write_text(RULES, encoding="utf-8")
    return file


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts of the templates that were really encoded."""
    found: list[str] = []
    original = GuidedDataModule._encode

    def encode(self: GuidedDataModule, folder: Path) -> None:
        found.append(self.rendering.fingerprint)
        original(self, folder)

    monkeypatch.setattr(GuidedDataModule, "_encode", encode)
    return found


@pytest.mark.slow
def test_a_sweep_encodes_each_template_once(tiny_run: Overrides, rules: Path, encoded: list[str]) -> None:
    trials = itertools.product(("1e-5", "1e-4"), ("none", "description", "hints"), ("0", "1", "all"))
    for lr, template, frozen in trials:
        words = (f"optimizer.lr={lr}", f"template={template}", f"tuning.frozen_layers={frozen}")
        build_data(make_plan(compose("train", tiny_run(*words, f"rules.path={rules}"))))
    assert len(encoded) == len(set(encoded)) == 3


@pytest.mark.parametrize(
    "change",
    [
        "trainer.max_epochs=5", "batching.size=3", "tuning=lora", "retention=l2sp", "model.dropout=0.3",
        "optimizer.weight_decay=0.1", "guidance.features.dropout=0.5", "encoding.trunk.use=off", "probe=drift",
    ],
)  # fmt: skip
def test_what_changes_no_text_encodes_nothing(
    change: str, tiny_run: Overrides, rules: Path, encoded: list[str]
) -> None:
    for more in ([], [change]):
        build_data(make_plan(compose("train", tiny_run(f"rules.path={rules}", *more))))
    assert len(encoded) == 1


@pytest.mark.parametrize("change", ["template=hints", "data.limit.train=12", "model.max_length=32", "seed=2"])
def test_what_changes_the_texts_encodes_them(change: str, tiny_run: Overrides, rules: Path, encoded: list[str]) -> None:
    for more in ([], [change]):
        build_data(make_plan(compose("train", tiny_run(f"rules.path={rules}", *more))))
    assert len(encoded) == 2


def test_other_rules_encode_anew(tiny_run: Overrides, rules: Path, encoded: list[str]) -> None:
    words = tiny_run(f"rules.path={rules}")
    build_data(make_plan(compose("train", words)))
    rules.write_text(RULES.replace("Ll}+", "Ll}{3,}"), encoding="utf-8")
    build_data(make_plan(compose("train", words)))
    assert len(encoded) == 2


@pytest.mark.slow
def test_two_processes_encode_once(tiny_run: Overrides, tmp_path: Path) -> None:
    work = (
        "import sys, time\n"
        "from rag_lightning.encoding.datamodule import GuidedDataModule as D\n"
        "from rag_lightning.config.compose import compose\n"
        "from rag_lightning.training.build import build_data\n"
        "from rag_lightning.training.plan import make_plan\n"
        "encode = D._encode\n"
        "def slow(self, folder):\n"
        "    open(sys.argv[1], 'a').write('x'); time.sleep(2); encode(self, folder)\n"
        "D._encode = slow\n"
        "print(len(build_data(make_plan(compose('train', sys.argv[2:]))).splits['train']))"
    )
    command = [sys.executable, "-c", work, str(tmp_path / "made"), *tiny_run()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    outputs = {process.communicate(timeout=300)[0].strip() for process in processes}
    assert len(outputs) == 1
    assert (tmp_path / "made").read_text() == "x"
