"""A run is named by what it is: equal for equal results, different for different ones."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rag_lightning.config.compose import compose
from rag_lightning.config.fingerprint import NO_PART_OF_A_RUN, differences, fingerprint, flatten, identity
from rag_lightning.config.schema import TrainConfig
from rag_lightning.data.load import content_fingerprint
from rag_lightning.data.options import DataConfig
from rag_lightning.training.finish import _command
from rag_lightning.training.plan import Plan, make_plan

Overrides = Callable[..., list[str]]


def planned(overrides: list[str]) -> Plan:
    return make_plan(compose("train", overrides))


def test_where_and_how_it_is_shown_is_no_part_of_a_run(tiny_run: Overrides, tmp_path: Path, small_data: Path) -> None:
    elsewhere = shutil.copytree(small_data, tmp_path / "moved")
    one = planned(tiny_run())
    for more in (
        [f"output_dir={tmp_path}/other"],
        ["logger=wandb", "logger.wandb.offline=true"],
        ["trainer.devices=2", "trainer.strategy=ddp"],
        [f"data.path={elsewhere}"],
        ["force=true", "run.name=mine", "run.folder=here"],
        [
            "batching.workers=2",
            "batching.eval_tokens=99",
            "encoding.cache=false",
            "checkpoint.every_steps=3",
            "checkpoint.every_seconds=null",
            "trainer.enable_progress_bar=false",
        ],
    ):
        assert planned(tiny_run(*more)).fingerprint == one.fingerprint, more
    assert one.folder.name == f"ner-tiny-{one.fingerprint[:8]}"


def test_a_name_shortens_paths_only(tiny_run: Overrides, small_data: Path) -> None:
    name = planned(tiny_run("data.label_separator=/", "template.text='Yes and/or no : {text}'")).config.run.name or ""
    assert "label_separator=/," in f"{name}," and "Yes and/or no : {text}" in name
    assert f"data.path={small_data.name}" in name


def test_whatever_changes_the_result_changes_the_name(tiny_run: Overrides, tiny_model: Path, tmp_path: Path) -> None:
    prints = {"": planned(tiny_run()).fingerprint}
    for change in ("optimizer.lr=2e-3", "seed=2", "trainer.max_epochs=3", "tuning.frozen_layers=1", "batching.size=7",
                   "model.dropout=0.2", "optimizer=adam", "data.limit.train=9", "task.subwords=first"):  # fmt: skip
        prints[change] = planned(tiny_run(change)).fingerprint
    data = Path(next(o for o in tiny_run() if o.startswith("data.path=")).partition("=")[2])
    with open(data / "train.conll", "a", encoding="utf-8") as file:
        file.write("\nOslo B-LOC\n")
    prints["other data"] = planned(tiny_run()).fingerprint
    other = shutil.copytree(tiny_model, tmp_path / "other")
    weights = bytearray((other / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "model.safetensors").write_bytes(weights)
    prints["other weights"] = planned(tiny_run(f"model.path={other}")).fingerprint
    assert len(set(prints.values())) == len(prints)


def test_order_does_not_matter_and_types_are_plain() -> None:
    one = identity({"a": {"x": 1, "y": [1, 2.5]}, "seed": 1}, "d", "m")
    other = identity({"seed": 1, "a": {"y": [1, 2.5], "x": 1}}, "d", "m")
    assert fingerprint(one) == fingerprint(other)
    assert re.fullmatch("[0-9a-f]{16}", fingerprint(one))
    assert flatten({"a": {"b": {"c": 1}}, "d": {}}) == {"a.b.c": 1, "d": {}}
    assert differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 1}, "c": 3}) == {"c": 2}
    assert differences({"a": {"x": 1}, "c": {}}, {"a": {}, "b": 1, "c": {}}) == {"+a.x": 1, "~b": None}


def test_every_process_finds_the_same(small_data: Path) -> None:
    code = (
        "import sys, json; from rag_lightning.config.fingerprint import fingerprint, identity;"
        "from rag_lightning.data.load import content_fingerprint; from rag_lightning.data.options import DataConfig;"
        "content = content_fingerprint(DataConfig(name='x', format='conll', path=sys.argv[1]));"
        "print(fingerprint(identity({'b': {'y': 1, 'x': 'ä'}, 'a': [None, True]}, content, 'm')))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code, str(small_data)], env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }  # fmt: skip
    content = content_fingerprint(DataConfig(name="x", format="conll", path=str(small_data)))
    assert found == {fingerprint(identity({"a": [None, True], "b": {"x": "ä", "y": 1}}, content, "m")) + "\n"}


def test_keys_left_out_of_the_name_exist(tiny_run: Overrides) -> None:
    plain = planned(tiny_run()).plain
    known = set(flatten(plain)) | set(plain) | {"trainer.plugins"}
    trainer = {"trainer.enable_model_summary"}  # arguments of the Trainer that need not be in the YAML
    assert NO_PART_OF_A_RUN - known - trainer == set()
    assert {key.partition(".")[0] for key in NO_PART_OF_A_RUN} <= set(TrainConfig.model_fields)


def test_settings_are_what_a_user_would_type(tiny_run: Overrides, tiny_model: Path, small_data: Path) -> None:
    plan = planned(["model=local", f"model.path={tiny_model}", "data=conll", f"data.path={small_data}", "seed=7",
                    "optimizer.lr=3e-5", "logger=none", "trainer=cpu"])  # fmt: skip
    assert plan.settings == {
        "model": "local", "data": "conll", "model.path": str(tiny_model), "data.path": str(small_data), "seed": 7,
        "optimizer.lr": 3e-5,
    }  # fmt: skip
    assert "lr=3e-05" in plan.name
    assert "seed=7" in plan.name
    assert str(small_data) not in plan.name


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("optimizer=sgd", "scheduler=cosine", "optimizer.lr=1e-3", "seed=7"),
        ("callbacks=early_stopping", "callbacks.early_stopping.patience=5"),
        ("tuning=head", "tuning.head_lr=1e-3"),
        ("task.labels=[PER,LOC,ORG,MISC]", "data.label_names=[O,'B-PER, x']"),
        ("data.files.train=[train.conll]", "data.separator='|'", "run.name='a b, \"c\" {d} = [e] $f'"),
        ("+trainer.detect_anomaly=false", "scheduler=polynomial", "scheduler.options.power=3", "~optimizer.eps"),
        ("data.label_names={0: neg, 1: pos}", "data.join={text: [title, body]}"),
        ("data.label_names=['null','1','true','\\${x}']", "model.revision='3e5'"),
        ("model.name='größe \\'x\\' 表 \\\\'",),
    ],
)
def test_the_command_in_the_report_is_the_same_run_again(more: tuple[str, ...], tiny_run: Overrides) -> None:
    first = planned(tiny_run(*more))
    words = shlex.split(_command(first))
    assert words[:3] == ["python", "-m", "rag_lightning.train"]
    again = planned(words[3:])
    assert again.fingerprint == first.fingerprint, json.dumps(again.settings)
    assert again.settings == first.settings
