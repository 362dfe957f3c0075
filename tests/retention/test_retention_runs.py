"""Every method of ``conf/retention`` in a run: it learns, resumes to the same weights, and at weight 0 does nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from crashes import Crash, crash_after, fail, weights
from safetensors.torch import load_file

from rag_lightning.config.paths import conf_dir
from rag_lightning.errors import UserError
from rag_lightning.train import train

Overrides = Callable[..., list[str]]
METHODS = sorted(path.stem for path in (conf_dir() / "retention").glob("*.yaml"))
# What turns each method off without taking it out.
OFF = {
    "l2sp": ["retention.l2sp.weight=0"],
    "ewc": ["retention.ewc.weight=0"],
    "distill": ["retention.distill.weight=0"],
    "lwf": ["retention.lwf.weight=0"],
    "rehearsal": ["retention.rehearsal.weight=0"],
    "r3f": ["retention.r3f.weight=0"],
    "smart": ["retention.smart.weight=0"],
    "mixout": ["retention.mixout.probability=0"],
    "ema": ["retention.ema.decay=0"],
    "wise_ft": ["retention.wise_ft.alphas=[1.0]"],
}
# What is felt in a few steps of a tiny network.
STRONG = {
    "l2sp": ["retention.l2sp.weight=5"],
    "r3f": ["retention.r3f.noise=0.1"],
    "smart": ["retention.smart.noise=0.1"],
}


def overrides_of(method: str) -> list[str]:
    few = {"ewc": ["retention.ewc.texts=4"]}
    return [f"retention={method}", "general_text.limit.train=20", *few.get(method, [])]


@pytest.fixture
def plain(tiny_run: Overrides, tmp_path: Path) -> str:
    return weights(train(tiny_run("checkpoint.use=last", f"run.folder={tmp_path}/plain")).folder)


@pytest.mark.slow
@pytest.mark.parametrize("method", [name for name in METHODS if name != "none"])
def test_it_changes_what_is_learnt_and_resumes_to_the_same_weights(
    method: str, tiny_run: Overrides, tmp_path: Path, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [*overrides_of(method), "checkpoint.use=last", "checkpoint.every_steps=1"]
    if method == "wise_ft":
        chosen.append("retention.wise_ft.tolerance=1")
    chosen += STRONG.get(method, [])
    whole = weights(train(tiny_run(*chosen, f"run.folder={tmp_path}/whole")).folder)
    assert whole != plain
    overrides = tiny_run(*chosen, f"run.folder={tmp_path}/cut")
    with monkeypatch.context() as patch:
        crash_after(patch, 5, fail)
        with pytest.raises(Crash):
            train(overrides)
    torch.manual_seed(5)  # what came before must not matter
    assert weights(train(overrides).folder) == whole


@pytest.mark.slow
@pytest.mark.parametrize("method", [name for name in METHODS if name in OFF])
def test_without_weight_training_is_the_same_bit_for_bit(
    method: str, tiny_run: Overrides, tmp_path: Path, plain: str
) -> None:
    chosen = [*overrides_of(method), *OFF[method], "checkpoint.use=last", f"run.folder={tmp_path}/off"]
    assert weights(train(tiny_run(*chosen)).folder) == plain


def test_every_method_can_be_turned_off() -> None:
    methods = {name for name in METHODS if yaml.safe_load((conf_dir() / "retention" / f"{name}.yaml").read_text())}
    assert methods - set(OFF) - {"balanced"} == set()


@pytest.mark.slow
def test_what_was_computed_for_other_data_is_not_taken(tiny_run: Overrides, tmp_path: Path) -> None:
    """Fisher information is of the rows that a run's data look up; what the original said is of the very texts."""
    train(tiny_run(*overrides_of("ewc"), f"run.folder={tmp_path}/all"))
    train(tiny_run(*overrides_of("ewc"), "data.limit.train=10", f"run.folder={tmp_path}/few"))
    first = ["retention=distill", "general_text.limit.train=20", "trainer.log_every_n_steps=1"]
    train(tiny_run(*first, f"run.folder={tmp_path}/one"))
    other = train(tiny_run(*first, "general_text.split.seed=5", f"run.folder={tmp_path}/other")).folder
    step = json.loads((other / "history.jsonl").read_text().splitlines()[0])
    assert step["retention/distill"] == pytest.approx(0.0, abs=1e-2)  # nothing has changed at the first step


def test_the_order_of_methods_does_not_matter(tiny_run: Overrides, tmp_path: Path) -> None:
    """Mixout changes the gradient of the task's loss, not the pull of L2-SP."""
    both = [*STRONG["l2sp"], "checkpoint.use=last"]
    one = weights(train(tiny_run("retention=[l2sp,mixout]", *both, f"run.folder={tmp_path}/one")).folder)
    assert weights(train(tiny_run("retention=[mixout,l2sp]", *both, f"run.folder={tmp_path}/other")).folder) == one


def test_accumulated_gradients_are_kept_once(tiny_run: Overrides, tmp_path: Path) -> None:
    """Two micro-batches are one step: the mask of mixout and the pull of L2-SP count once."""
    chosen = ["retention=[l2sp,mixout,ema]", "trainer.accumulate_grad_batches=2", "trainer.gradient_clip_val=1"]
    result = train(tiny_run(*chosen, f"run.folder={tmp_path}/run"))
    history = (result.folder / "history.jsonl").read_text().splitlines()
    assert len(history) >= 2


def test_a_strong_pull_keeps_the_backbone_where_it_was(tiny_run: Overrides, tiny_model: Path, tmp_path: Path) -> None:
    begun = load_file(tiny_model / "model.safetensors")

    def moved(folder: Path) -> float:
        now = load_file(folder / "model" / "model.safetensors")
        shared = [name for name in now if name in begun and now[name].shape == begun[name].shape]
        assert shared
        return float(sum(((now[name] - begun[name]) ** 2).sum() for name in shared))

    free = moved(train(tiny_run(f"run.folder={tmp_path}/free")).folder)
    held = moved(train(tiny_run("retention=l2sp", "retention.l2sp.weight=100", f"run.folder={tmp_path}/held")).folder)
    assert held < free / 4


def test_going_back_all_the_way_gives_the_pretrained_backbone(
    tiny_run: Overrides, tiny_model: Path, tmp_path: Path
) -> None:
    chosen = ["retention=wise_ft", "retention.wise_ft.alphas=[0]", "retention.wise_ft.tolerance=1"]
    folder = train(tiny_run(*chosen, f"run.folder={tmp_path}/back")).folder
    begun, now = load_file(tiny_model / "model.safetensors"), load_file(folder / "model" / "model.safetensors")
    shared = [name for name in now if name in begun and "classifier" not in name]
    assert shared and all(torch.equal(now[name], begun[name]) for name in shared)
    assert "WiSE-FT took alpha 0" in (folder / "report.md").read_text()


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["retention=l2sp", "tuning=head"], "the whole backbone is frozen"),
        (["+retention.l2ps={weight: 1}"], "Did you mean l2sp"),
        (["retention=l2sp", "+retention.l2sp.wieght=1"], "weight"),
        (["retention=distill", "retention.distill.of=words"], "predicts no next words"),
        (["retention=rehearsal", "retention.rehearsal.objective=next_words"], "by next words"),
        (["retention=wise_ft", "retention.wise_ft.alphas=[1.5]"], "shares from 0"),
        (["retention=l2sp", "model.random_init=true"], "random weights knows nothing"),
        (["retention=l2sp", "tuning=lora"], "adapters learn beside"),
        (["retention=mixout", "tuning=bitfit"], "only biases learn"),
        (
            ["retention=lwf", "task=pretraining", "data=pretraining_sample", "data.path=pretraining"],
            "the very texts that it learns",
        ),
        (["retention=l2sp", "trainer.strategy=fsdp"], "hold the whole"),
    ],
)
def test_what_cannot_work_is_refused_in_words(overrides: list[str], said: str, tiny_run: Overrides) -> None:
    with pytest.raises(UserError) as refusal:
        train(tiny_run(*overrides))
    assert said in str(refusal.value)
