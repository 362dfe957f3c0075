"""Every task with every template and every way of tuning: it runs, or is refused in words before a model is loaded."""

import functools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from rag_lightning.config.compose import compose
from rag_lightning.config.overrides import override
from rag_lightning.config.paths import conf_dir
from rag_lightning.config.validate import to_plain
from rag_lightning.data.load import load_splits
from rag_lightning.data.options import DataConfig
from rag_lightning.errors import UserError
from rag_lightning.tasks.registry import get_task
from rag_lightning.train import train
from rag_lightning.training.plan import make_plan

pytestmark = pytest.mark.usefixtures("no_pictures")
CONF = conf_dir()
WRITING = ("translation", "summarization", "dialogue")  # of the tasks, those that need a backbone that writes
WORDS = ("the", "a", "is", "of")


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("[!_]*.yaml"))


@pytest.fixture(scope="session")
def tiny_writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer GPT-2 that knows all bytes; a folder, read only."""
    folder = tmp_path_factory.mktemp("tiny-gpt2")
    bytewise = Tokenizer(models.BPE())
    bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytewise.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet)
    bytewise.train_from_iterator(["the cat sat on the mat and looked at a dog of the house"], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytewise, eos_token="<|endoftext|>", bos_token="<|endoftext|>")
    tokenizer.save_pretrained(folder)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=256, bos_token_id=0, eos_token_id=0
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_reader(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny encoder with a window that templates fit into."""
    folder = tmp_path_factory.mktemp("tiny-reader")
    for file in tiny_model.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    from transformers import AutoConfig, BertForMaskedLM

    config = AutoConfig.from_pretrained(folder, max_position_embeddings=256)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertForMaskedLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def overrides(tiny_reader: Path, tiny_writer: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """A training of one step on a few examples, with all that a template might show."""

    def make(task: str, *more: str) -> list[str]:
        (tmp_path / "knowledge.csv").write_text("term,text\nthe,an article\n", encoding="utf-8")
        rules = tmp_path / "rules.yaml"
        rules.write_text(yaml.safe_dump(_rules(task)), encoding="utf-8")
        folder = tiny_writer if task in WRITING else tiny_reader
        return [
            f"task={task}", "model=local", f"model.path={folder}", "model.name=tiny", "trainer=cpu", "logger=none",
            f"output_dir={tmp_path / 'runs'}", "trainer.max_epochs=-1", "trainer.max_steps=1", "batching.size=4",
            "trainer.enable_progress_bar=false", "data.limit.train=8", "data.limit.validation=4", "data.limit.test=4",
            *_labels(task), f"rules.path={rules}", f"template.context.path={tmp_path / 'knowledge.csv'}",
            "generation.max_new_tokens=4", *more,
        ]  # fmt: skip

    return make


@functools.cache
def _labels_of(task: str) -> list[str]:
    """What rules may name in a task's sample."""
    config = to_plain(compose("train", [f"task={task}"]))
    of = get_task(config["task"])
    splits = load_splits(DataConfig(**config["data"]), 1, of.reading).splits
    return of.rule_labels(of.prepare(splits, of.options(**config["task"])).labels)


def _labels(task: str) -> list[str]:
    """The labels as an override: a few examples need not have each."""
    return [override("task.labels", _labels_of(task))] if task in ("ner", "classification", "relation") else []


def _rules(task: str) -> dict[str, object]:
    """A word list for each of the first labels of a task's sample, all described."""
    labels = _labels_of(task)[:4] or ["word"]
    described = {label: {"name": f"kind {i}", "description": f"a thing of kind {i}"} for i, label in enumerate(labels)}
    return {
        "description": "Say what it is.",
        "labels": described,
        "lexicons": {f"list{i}": [WORDS[i]] for i in range(len(labels))},
        "rules": {f"rule{i}": {"lexicon": f"list{i}", "label": label} for i, label in enumerate(labels)},
    }


def runs_or_is_refused(given: list[str]) -> None:
    try:
        plan = make_plan(compose("train", given))
    except UserError as refused:
        assert refused.reason and refused.remedy
        return
    try:
        result = train(given)
    except UserError as refused:  # what only the data can tell
        assert refused.reason and refused.remedy
        return
    assert json.loads((result.folder / "metrics.json").read_text())
    assert f"test/{plan.task.headline}" in result.metrics


@pytest.mark.slow
@pytest.mark.parametrize("template", options("template"))
@pytest.mark.parametrize("task", options("task"))
def test_every_task_with_every_template(task: str, template: str, overrides: Callable[..., list[str]]) -> None:
    runs_or_is_refused(overrides(task, f"template={template}"))


@pytest.mark.slow
@pytest.mark.parametrize("tuning", [*(f"tuning={name}" for name in options("tuning")), "tuning.frozen_layers=1"])
@pytest.mark.parametrize("task", options("task"))
def test_every_task_with_every_way_of_tuning(task: str, tuning: str, overrides: Callable[..., list[str]]) -> None:
    runs_or_is_refused(overrides(task, tuning))


@pytest.mark.parametrize("task", options("task"))
def test_every_task_runs_on_a_tiny_backbone(task: str, overrides: Callable[..., list[str]]) -> None:
    result = train(overrides(task, "rules=none", "~rules.path"))
    assert (result.folder / "model" / "model.safetensors").is_file()
