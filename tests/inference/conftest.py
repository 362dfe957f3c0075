"""One finished run for all tests of this folder, sure of what it has learnt."""

from pathlib import Path

import pytest
from tiny import tiny_overrides

from rag_lightning.train import train

# Short sentences, learnt by heart: a model that is unsure would make every comparison a matter of rounding.
SENTENCES = """\
Ada/B-PER Lovelace/I-PER lived/O in/O London/B-LOC ./O
Marie/B-PER works/O for/O Siemens/B-ORG in/O Berlin/B-LOC ./O
The/O United/B-ORG Nations/I-ORG met/O in/O Geneva/B-LOC ./O
Peter/B-PER saw/O New/B-LOC York/I-LOC ./O
Siemens/B-ORG and/O Nokia/B-ORG are/O old/O ./O
It/O rained/O all/O day/O ./O
Paris/B-LOC is/O far/O from/O Oslo/B-LOC ./O
Maria/B-PER Silva/I-PER left/O Nokia/B-ORG ./O
"""


def conll(*lines: str) -> str:
    """CoNLL columns of sentences written as ``word/TAG word/TAG``."""
    return "\n".join(line.replace(" ", "\n").replace("/", " ") + "\n" for line in lines)


@pytest.fixture(scope="package")
def sentences() -> list[list[str]]:
    return [[word.partition("/")[0] for word in line.split()] for line in SENTENCES.splitlines()]


@pytest.fixture(scope="package")
def finished(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that knows its sentences."""
    root = tmp_path_factory.mktemp("finished")
    (root / "data").mkdir()
    for split, times in (("train", 4), ("validation", 1), ("test", 1)):
        content = conll(*SENTENCES.splitlines() * times)
        (root / "data" / f"{split}.conll").write_text(content, encoding="utf-8")
    result = train(
        tiny_overrides(
            tiny_model, root / "data", root / "runs", "trainer.max_epochs=40", "optimizer.lr=5e-3", "model.dropout=0",
            "model.attn_dropout=0", "trainer.check_val_every_n_epoch=40", "batching.size=8",
            "trainer.enable_progress_bar=false",
        )
    )  # fmt: skip
    assert result.metrics["test/f1"] == 1.0
    return result.folder
