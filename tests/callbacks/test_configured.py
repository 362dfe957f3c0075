"""What ``callbacks=early_stopping`` watches."""

import pytest
from pytorch_lightning.callbacks import EarlyStopping

from rag_lightning.callbacks.configured import configured
from rag_lightning.config.compose import compose
from rag_lightning.config.validate import to_plain
from rag_lightning.tasks.registry import get_task


@pytest.mark.parametrize(
    ("words", "watched"),
    [
        ("task=ner", ("validation/f1", "max")),
        ("task=classification", ("validation/accuracy", "max")),
        ("task=pretraining", ("validation/perplexity", "min")),
        ("task=ner callbacks.early_stopping.monitor=validation/loss", ("validation/loss", "min")),
        ("task=ner callbacks.early_stopping.mode=min", ("validation/f1", "min")),
    ],
)
def test_it_watches_the_tasks_headline_or_what_it_is_told(words: str, watched: tuple[str, str]) -> None:
    plain = to_plain(compose("train", ["callbacks=early_stopping", *words.split()]))
    [stopping] = configured(plain["callbacks"], get_task(plain["task"]))
    assert isinstance(stopping, EarlyStopping)
    assert (stopping.monitor, stopping.mode) == watched
