"""Ways of tuning in whole runs: broken off and resumed, small checkpoints, and what is exported."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from crashes import Crash, crash_after, fail, weights
from peft import PeftModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny import sample_overrides
from transformers import AutoModel, AutoModelForTokenClassification

from rag_lightning.errors import UserError
from rag_lightning.train import train
from rag_lightning.training import finish
from rag_lightning.training.learned import load_learned
from rag_lightning.training.run import RunResult

Overrides = Callable[..., list[str]]
IDS = torch.tensor([[2, 5, 6, 7, 8, 3], [2, 9, 10, 11, 12, 3]])
OF_PEFT = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Lets a run's checkpoints stay, and gives the network as it was before its adapters were merged."""
    seen: list[Any] = []
    merge = finish.merge_adapters

    def look(network: Any) -> None:
        with torch.no_grad():
            seen.append(network.eval()(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits)
        merge(network)

    monkeypatch.setattr(finish, "merge_adapters", look)
    remove = finish.shutil.rmtree
    monkeypatch.setattr(
        finish.shutil, "rmtree", lambda path, **more: Path(path).name == "checkpoints" or remove(path, **more)
    )
    yield seen


@pytest.mark.parametrize(
    "way",
    [
        ["tuning=gradual"],
        ["tuning=gradual", "trainer.accumulate_grad_batches=2", "tuning.unfreeze.every=1", "rules=news_ner"],
        ["tuning=lora", "tuning.adapter.dropout=0.1"],
        ["tuning=ia3", "tuning.layer_decay=0.5", "tuning.unfreeze.every=0.3"],
        ["tuning=bitfit"],
    ],
)
@pytest.mark.slow
def test_a_crash_changes_nothing(
    way: list[str], tiny_run: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = ["trainer.enable_progress_bar=false", "checkpoint.every_steps=1", *way]
    whole = weights(train(tiny_run(*quiet, f"run.folder={tmp_path}/whole")).folder)
    overrides = tiny_run(*quiet, f"run.folder={tmp_path}/cut")
    for step in (3, 2, 2):
        with monkeypatch.context() as patch:
            crash_after(patch, step, fail)
            with pytest.raises(Crash):
                train(overrides)
        torch.manual_seed(step)
    assert weights(train(overrides).folder) == whole


def names_in(file: Path) -> set[str]:
    with safe_open(file, framework="pt") as opened:
        return set(opened.keys())


@OF_PEFT
def test_the_adapter_and_the_merged_model_answer_alike(
    kept: list[Any], tiny_run: Overrides, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = train(tiny_run("tuning=lora", "optimizer.lr=1e-2", "trainer.precision=32-true"))
    merged = AutoModelForTokenClassification.from_pretrained(result.folder / "model").eval()
    assert not any("lora" in name for name in merged.state_dict())
    original = AutoModelForTokenClassification.from_pretrained(tiny_model, num_labels=merged.config.num_labels)
    given = PeftModel.from_pretrained(original, str(result.folder / "adapter")).eval()
    inputs = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}
    with torch.no_grad():
        torch.testing.assert_close(merged(**inputs).logits, kept[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(given(**inputs).logits, kept[0], rtol=1e-4, atol=1e-5)
        assert not torch.allclose(AutoModel.from_pretrained(tiny_model)(**inputs)[0], merged.base_model(**inputs)[0])
    config = json.loads((result.folder / "adapter" / "adapter_config.json").read_text())
    assert (config["peft_type"], config["task_type"], config["modules_to_save"]) == (
        "LORA",
        "TOKEN_CLS",
        ["classifier"],
    )
    assert sorted(config["target_modules"]) == ["query", "value"]
    report = (result.folder / "report.md").read_text()
    assert "kB in adapter/" in report and "PeftModel.from_pretrained" in report


def test_checkpoints_hold_only_what_learns(kept: list[Any], tiny_run: Overrides, tmp_path: Path) -> None:
    held = {}
    for way in ("full", "lora", "head"):
        folder = train(tiny_run(f"tuning={way}", "checkpoint.every_steps=3", f"run.folder={tmp_path}/{way}")).folder
        best = names_in(folder / "checkpoints" / "best.safetensors")
        point = torch.load(sorted((folder / "checkpoints").glob("*.ckpt"))[-1], weights_only=True)
        assert {name.removeprefix("network.") for name in point["state_dict"]} == best
        held[way] = (best, (folder / "checkpoints" / "best.safetensors").stat().st_size)
    assert held["head"][0] == {"classifier.weight", "classifier.bias"}
    assert {name for name in held["lora"][0] if "lora_" not in name} == held["head"][0]
    assert any("embeddings" in name for name in held["full"][0])
    assert held["lora"][1] < held["full"][1] / 4


def test_a_foreign_or_damaged_file_is_refused(kept: list[Any], tiny_run: Overrides, tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    network[0].requires_grad_(False)
    own = {f"1.{name}": torch.ones_like(each) for name, each in network[1].state_dict().items()}
    file = tmp_path / "best.safetensors"
    for wrong in ({**own, "2.weight": torch.ones(1)}, {**own, "1.bias": torch.ones(3)}, {"1.bias": own["1.bias"]}):
        save_file(wrong, file)
        with pytest.raises(UserError, match="saved weights (holds|lacks)"):
            load_learned(network, file)
    save_file(own, file)
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(UserError, match="cannot be read"):
        load_learned(network, file)
    save_file(own, file)
    load_learned(network, file)
    assert torch.equal(network[1].bias, own["1.bias"])


def test_a_resume_point_of_other_parameters_is_refused(
    tiny_run: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = tiny_run("tuning=lora", "checkpoint.every_steps=1", f"run.folder={tmp_path}/cut")
    with monkeypatch.context() as patch:
        crash_after(patch, 3, fail)
        with pytest.raises(Crash):
            train(overrides)
    with pytest.raises(UserError, match="unlike this network"):
        train([*overrides, "tuning=ia3"])


@pytest.mark.slow
def test_a_stage_leaves_behind_what_learned(
    kept: list[Any], tiny_run: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = ["rules=news_ner", "guidance=warmup", "data.shots=8", "tuning=lora"]
    result = train(tiny_run(*staged, f"run.folder={tmp_path}/whole"))
    names = names_in(result.folder / "checkpoints" / "warmup" / "done.safetensors")
    assert names and not any("embeddings" in name or "base_layer" in name for name in names)
    overrides = tiny_run(*staged, f"run.folder={tmp_path}/cut", "checkpoint.every_steps=1")
    with monkeypatch.context() as patch:
        crash_after(patch, 1, fail)
        with pytest.raises(Crash):
            train(overrides)
    assert weights(train(overrides).folder) == weights(result.folder)


@OF_PEFT
@pytest.mark.parametrize("way", ["lora", "ia3"])
def test_a_pooled_head_lies_beside_the_adapter(way: str, tiny_model: Path, tmp_path: Path, kept: list[Any]) -> None:
    result: RunResult = train(
        sample_overrides(
            "classification", tiny_model, tmp_path, f"tuning={way}", "model.pooling=mean", "trainer.max_steps=4",
            "trainer.max_epochs=-1", "data.limit.train=16", "data.limit.validation=8", "data.limit.test=8",
        )
    )  # fmt: skip
    assert set(load_file(result.folder / "adapter" / "head.safetensors")) == {"classifier.weight", "classifier.bias"}
    merged = AutoModel.from_pretrained(result.folder / "model", add_pooling_layer=False).eval()
    original = AutoModel.from_pretrained(tiny_model, add_pooling_layer=False)
    given = PeftModel.from_pretrained(original, str(result.folder / "adapter")).eval()
    inputs = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}
    with torch.no_grad():
        torch.testing.assert_close(given(**inputs)[0], merged(**inputs)[0], rtol=1e-4, atol=1e-5)
