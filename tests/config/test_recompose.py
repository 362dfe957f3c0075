"""What trials share is composed once; the result is what Hydra gives."""

import pytest
from omegaconf import OmegaConf

from rag_lightning.config.compose import compose, group_choices
from rag_lightning.config.recompose import recompose
from rag_lightning.errors import UserError

TRIALS = [
    [],
    ["task=ner", "optimizer.lr=1e-5", "tuning.frozen_layers=2"],
    ["task=ner", "optimizer.lr=3e-5", "template=hints", "rules=news_ner", "run.name='a, b'"],
    ["recipe=sst2", "optimizer.lr=0.1", "seed=3", "++trainer.limit_train_batches=2"],
    ["optimizer.lr=0.1", "task=classification", "data@general_text=wikitext", "retention=[lwf,ema]"],
    ["optimizer=sgd", "~callbacks", "logger=none", "optimizer.lr=${seed}", "hydra.job.chdir=false"],
    ["trainer.max_epochs=1", "trainer.max_epochs=2", "model.path=null", "data.limit.train=null"],
]  # fmt: skip


@pytest.mark.parametrize("overrides", TRIALS, ids=lambda words: " ".join(words)[:40] or "none")
def test_it_is_what_hydra_composes(overrides: list[str]) -> None:
    expected = OmegaConf.to_container(compose("train", overrides))
    for _ in range(2):
        found = recompose("train", overrides)
        given = OmegaConf.to_container(found)
        assert isinstance(given, dict) and isinstance(expected, dict)
        assert {k: v for k, v in given.items() if k != "hydra"} == {k: v for k, v in expected.items() if k != "hydra"}
        assert group_choices(found) == group_choices(compose("train", overrides))


def test_a_trial_leaves_nothing_behind_for_the_next() -> None:
    first = recompose("train", ["task=ner", "optimizer.lr=0.5"])
    first.optimizer.lr = 0.7
    assert recompose("train", ["task=ner"]).optimizer.lr == compose("train", ["task=ner"]).optimizer.lr


@pytest.mark.parametrize(
    ("word", "told"),
    [("optimizr.lr=1", "optimizer"), ("optimizer.lrr=1", "optimizer.lr"), ("task=nerr", "ner"), ("a=[", "a=[")],
)
def test_mistakes_are_told_as_ever(word: str, told: str) -> None:
    with pytest.raises(UserError) as mistake:
        recompose("train", [word])
    with pytest.raises(UserError) as usual:
        compose("train", [word])
    assert str(mistake.value) == str(usual.value) and told in str(mistake.value)
