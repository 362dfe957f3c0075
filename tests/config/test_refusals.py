"""What a user mistypes is told in a sentence with the nearest valid word, exit code 2, before anything is read."""

from pathlib import Path
from typing import Any

import pytest
from command_line import Command
from omegaconf import DictConfig, OmegaConf

from rag_lightning.config.compose import compose
from rag_lightning.config.validate import validate_train
from rag_lightning.errors import UserError
from rag_lightning.training import plan


def refusal(*overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        validate_train(compose("train", list(overrides)))
    return str(caught.value)


@pytest.fixture(scope="module")
def default() -> DictConfig:
    return compose("train", [])


def refusal_of(config: DictConfig, key: str, value: Any) -> str:
    """What is said of a value; without composing anew, which takes most of the time."""
    changed = config.copy()
    OmegaConf.update(changed, key, value, force_add=True)
    with pytest.raises(UserError) as caught:
        validate_train(changed)
    return str(caught.value)


@pytest.mark.parametrize(
    ("groups", "wrong", "right"),
    [
        ((), "sed", "seed"),
        ((), "optimizer.lrr", "optimizer.lr"),
        ((), "trainer.max_epoch", "trainer.max_epochs"),
        ((), "task.lables", "task.labels"),
        ((), "data.limit.tran", "data.limit.train"),
        ((), "data.files.validaton", "data.files.validation"),
        ((), "tuning.frozen_layer", "tuning.frozen_layers"),
        ((), "batching.tokns", "batching.tokens"),
        ((), "run.nmae", "run.name"),
        ((), "scheduler.optionss", "scheduler.options"),
        (("callbacks=early_stopping",), "callbacks.early_stopping.patiance", "callbacks.early_stopping.patience"),
        (("logger=wandb",), "logger.wandb.offlin", "logger.wandb.offline"),
        (("logger=tensorboard",), "logger.tensorboard.log_grph", "logger.tensorboard.log_graph"),
    ],
)
def test_an_unknown_key_names_the_nearest(groups: tuple[str, ...], wrong: str, right: str) -> None:
    said = refusal(*groups, f"+{wrong}=1")
    assert said == f"configuration: unknown key '{wrong}'. Did you mean {right}?"


@pytest.mark.parametrize("prefix", ["", "++"])
@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("sed", "seed"),
        ("optimizer.lrr", "optimizer.lr"),
        ("task.lables", "task.labels"),
        ("data.limit.tran", "data.limit.train"),
    ],
)
def test_so_does_a_plain_or_forced_one(prefix: str, wrong: str, right: str) -> None:
    assert f"unknown key '{wrong}'. Did you mean {right}?" in refusal(f"{prefix}{wrong}=1")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optimiser=adamw", "unknown key 'optimiser'. Did you mean optimizer?"),
        ("modle=minilm", "unknown key 'modle'. Did you mean model?"),
        ("task=nerr", "no task named 'nerr'. Did you mean task=ner?"),
        ("model=minlm", "no model named 'minlm'. Did you mean model=minilm? There are: albert-base-v2"),
        ("trainer=tpu", "Did you mean trainer=gpu? There are: auto, cpu, ddp, fsdp, gpu."),
        ("tuning=lorra", "lora"),
        ("task.name=nre", "no task named 'nre'. Did you mean ner?"),
        ("+zzz=1", "unknown key 'zzz'. Valid keys here: task, data, general_text, model"),
        ("+optimizer.momentum=0.9", "unknown key 'optimizer.momentum'. Valid keys here: amsgrad, betas"),
        ("trainer.detect_anomaly=true", "the class itself takes beyond that is added with +trainer.detect_anomaly=…"),
        ("scheduler.options.power=2", "is added with +scheduler.options.power=…"),
        ("data.join.text=[title,body]", "'data.join.text'. A key of your own is added with +data.join.text=…"),
        ("data.label_names.0=neg", "A key of your own is added with +data.label_names.0=…"),
        ("model=_base", "model=_base only holds what the other options of model share. Choose one of: albert"),
        ("data=_base", "data=_base only holds what the other options of data share. Choose one of: ag_news"),
        ("model=hub", "model.name is needed. Add model.name=…"),
        ("model=local", "model.path is needed. Add model.path=…"),
        ("optimizer._target_=torch.optim.AdmW", "cannot be found. Did you mean torch.optim.AdamW?"),
        ("optimizer._target_=os.system", "'os.system' is not of a trusted package"),
        ("optimizer._target_=torch.optim.lr_scheduler.StepLR", "is no torch.optim.Optimizer"),
        ("+callbacks.stop.patience=3", "callbacks.stop needs a _target_"),
        ("+trainer.default_root_dir=here", "trainer.default_root_dir: the run sets this itself. Set output_dir"),
        ("+trainer.logger=true", "trainer.logger: the run sets this itself. Choose logger=…."),
    ],
)
def test_other_unknown_words(override: str, said: str) -> None:
    assert said in refusal(override)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("seed", -1, "seed must be greater than or equal to 0, not -1"),
        ("seed", 2**32, "seed must be less than 4294967296"),
        ("seed", "abc", "seed must be a valid integer, not 'abc'"),
        ("seed", None, "seed must be a valid integer, not None"),
        ("force", "maybe", "force must be a valid boolean, not 'maybe'"),
        ("output_dir", None, "output_dir must be a valid string"),
        ("batching.size", 0, "batching.size must be greater than or equal to 1"),
        ("encoding.overlap", 0.9, "encoding.overlap must be less than or equal to 0.5"),
        ("checkpoint.use", "worst", "checkpoint.use must be 'best' or 'last', not 'worst'"),
        ("checkpoint.keep", 1, "checkpoint.keep must be greater than or equal to 2"),
        ("model.dropout", 2, "model.dropout must be less than 1"),
        ("tuning.frozen_layers", "some", "tuning.frozen_layers must be a valid integer or 'half' or 'all', not 'some'"),
        ("task.subwords", "some", "task.subwords must be 'all' or 'first', not 'some'"),
        ("data.separator", "::", "data.separator: separator is one character or one of"),
        ("data.encoding", "utf-9", "data.encoding: unknown encoding 'utf-9'"),
        ("data.split.validation", 0.9, "data.split: validation and test together take more than 0.9"),
        ("optimizer.lr", -1, "optimizer.lr is -1. Give a number above 0"),
        ("optimizer.lr", "abc", "optimizer.lr is 'abc'"),
        ("optimizer.lr", None, "optimizer.lr is None"),
        ("optimizer.betas", [2, 3], "this optimizer cannot be built (Invalid beta parameter at index 0: 2)"),
        ("scheduler.warmup", -1, "scheduler.warmup must be greater than or equal to 0"),
        ("scheduler.name", "cosin", "no schedule named 'cosin'. Did you mean cosine?"),
        ("scheduler.name", "reduce_lr_on_plateau", "no schedule named 'reduce_lr_on_plateau'"),
        ("scheduler.options.foo", 1, "got an unexpected keyword argument 'foo'"),
        ("trainer.max_epochs", "abc", "trainer.max_epochs must be a valid integer, not 'abc'"),
        ("trainer.max_epochs", 1.5, "trainer.max_epochs must be a valid integer, not 1.5"),
        ("trainer.max_epochs", -1, "the training has no end. Set trainer.max_epochs or trainer.max_steps."),
        ("trainer.precision", "bf17", "trainer.precision must be 'auto', '32-true', 'bf16-mixed'"),
        ("trainer.accelerator", "tpux", "trainer.accelerator must be 'auto', 'cpu', 'gpu'"),
        ("trainer.devices", 0, "trainer.devices: a training needs a device"),
        ("trainer.gradient_clip_val", -1, "trainer.gradient_clip_val must be greater than or equal to 0"),
        ("trainer.accumulate_grad_batches", 0, "trainer.accumulate_grad_batches must be greater than or equal to 1"),
    ],
)
def test_a_wrong_value_is_told_with_its_key(key: str, value: Any, said: str, default: DictConfig) -> None:
    assert said in refusal_of(default, key, value)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optimizer.lr=nan", "optimizer.lr is nan. Give a finite number."),
        ("optimizer.weight_decay=inf", "optimizer.weight_decay is inf"),
        ("optimizer.betas=[nan,0.9]", "optimizer.betas is nan"),
        ("trainer.gradient_clip_val=-inf", "trainer.gradient_clip_val is -inf"),
        ("data.split.test=nan", "data.split.test is nan"),
        ("~optimizer", "optimizer is missing"),
        ("run=mine", "node `run` is not a container"),
    ],
)
def test_numbers_that_are_none_and_settings_that_are_gone(override: str, said: str) -> None:
    assert said in refusal(override)


def test_all_mistakes_are_told_at_once() -> None:
    said = refusal("seed=-1", "batching.size=0", "+colour=blue")
    assert "3 mistakes" in said
    assert all(f"\n  {key}" in said for key in ("seed", "batching.size", "unknown key 'colour'"))


def test_a_group_of_another_command_is_told_with_the_keys_there_are(run: Command) -> None:
    said = run("evaluate", "run=nowhere", "template=hints").err
    assert "unknown key 'template'. Valid keys here: run, backbone, split" in " ".join(said.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("optimizer.lr",), "'optimizer.lr' cannot be read as a setting. Write key=value"),
        (("optimizer.lr=[1",), "'optimizer.lr=[1' cannot be read as a setting"),
        (("task=ner", "=3"), "'=3' cannot be read as a setting"),
        (("task=null",), "'task=null' cannot be read as a setting"),
        (("+optimizer.lrr=1",), "unknown key 'optimizer.lrr'. Did you mean optimizer.lr?"),
        (("optimizer.lrr=1",), "unknown key 'optimizer.lrr'. Did you mean optimizer.lr?"),
        (("model=minlm",), "Did you mean model=minilm?"),
        (("optimizer.lr=nan",), "optimizer.lr is nan"),
        (("model=hub",), "model.name is needed"),
        (("data=conll",), "data.path: data=conll needs a file or folder"),
        (("data=hub",), "data.hub_name: data=hub needs the name of a data set"),
        (("tuning.frozen_layers=99",), "Cannot freeze 99 layers: this BERT model has 2"),
        (("model.max_length=4096",), "max_length=4096 is more than the 64 positions that this model knows"),
        (("model=bart-base", "model.path={bart}"), "token"),
        (("trainer=gpu",), "no GPU can be used on this machine. Choose trainer=cpu or trainer=auto."),
        (("trainer.limit_val_batches=1",), "an evaluation counts every example once"),
        (("+trainer.fast_dev_run=true",), "trainer.fast_dev_run: an evaluation counts every example once"),
    ],
)
def test_on_the_command_line_it_is_one_sentence_and_exit_code_2(
    arguments: tuple[str, ...],
    said: str,
    run: Command,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a run was begun")

    monkeypatch.setattr("rag_lightning.training.run.RunFolder", never)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    if any("{bart}" in argument for argument in arguments):
        from tiny_families import tiny_config

        tiny_config("bart").save_pretrained(tmp_path / "bart")
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (tmp_path / "bart" / name).write_bytes((tiny_model / name).read_bytes())
        arguments = tuple(argument.format(bart=tmp_path / "bart") for argument in arguments)
    elif not any(argument.startswith("model=") for argument in arguments):
        arguments = ("model=local", f"model.path={tiny_model}", *arguments)
    outcome = run("train", *arguments)
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.err.startswith("error: ")
    assert "Traceback" not in outcome.err + outcome.out
    assert outcome.err.count("\n") == 1
    assert not outcome.out


def test_the_user_can_ask_for_the_traceback(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(UserError, match="lrr"):
        run("train", "+optimizer.lrr=1")


def test_composing_again_and_again_leaves_hydra_as_it_was(run: Command) -> None:
    import os

    for _ in range(2):
        assert run("train", "+optimizer.lrr=1").code == 2
    assert "HYDRA_FULL_ERROR" not in os.environ


def test_nothing_large_is_read_before_a_misspelt_key_is_told(tiny_run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "resolve", lambda config: pytest.fail("the model was looked for"))
    monkeypatch.setattr(plan, "content_fingerprint", lambda config: pytest.fail("the data were read"))
    with pytest.raises(UserError, match="lrr"):
        plan.make_plan(compose("train", tiny_run("+optimizer.lrr=1")))


def test_a_broken_yaml_is_named_with_its_line(run: Command, tmp_path: Path) -> None:
    (tmp_path / "comparison").mkdir()
    broken = tmp_path / "comparison" / "mine.yaml"
    broken.write_text("seeds: [1]\nshared: [probe=[language,prompts], task=ner]\n", encoding="utf-8")
    end = run("compare", "--config-dir", str(tmp_path), "comparison=mine")
    assert end.code == 2
    assert f"{broken}, line 2: not YAML" in end.err
