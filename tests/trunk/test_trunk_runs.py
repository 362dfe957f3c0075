"""Runs with kept states: the same results, the same when resumed, and refused where they cannot be right."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from crashes import Crash, crash_after, fail, weights
from safetensors.torch import load_file
from tiny import sample_overrides

from rag_lightning.train import train
from rag_lightning.training import trunk
from rag_lightning.training.module import FineTuning
from rag_lightning.training.trunk import CHOICE
from rag_lightning.trials import many_trials
from rag_lightning.trunk.begin import Beginning
from rag_lightning.trunk.store import VALUES
from rag_lightning.trunk.worth import pays

Overrides = Callable[..., list[str]]
ON, OFF = "encoding.trunk.use=on", "encoding.trunk.use=off"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_pictures: None) -> Path:
    monkeypatch.setenv("RAG_LIGHTNING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entries(cache: Path) -> list[Path]:
    return sorted((cache / "trunk").glob(f"*/{VALUES}"))


@pytest.mark.parametrize("frozen", ["1", "2"])
@pytest.mark.parametrize("precision", ["32-true", "auto"])
def test_the_same_results_with_and_without(frozen: str, precision: str, tiny_run: Overrides, tmp_path: Path) -> None:
    """Dropout is drawn alike in both: the trained weights differ by what rounding makes of them."""
    shared = [f"tuning.frozen_layers={frozen}", f"trainer.precision={precision}"]
    results = [train(tiny_run(*shared, use, f"run.folder={tmp_path}/{use[-2:]}")) for use in (ON, OFF)]
    kept, plain = (load_file(result.folder / "model" / "model.safetensors") for result in results)
    close = {"rtol": 1e-3, "atol": 1e-5} if precision == "32-true" else {"rtol": 0.05, "atol": 5e-3}
    for name, tensor in plain.items():
        torch.testing.assert_close(kept[name], tensor, **close)
    assert results[0].metrics["test/loss"] == pytest.approx(results[1].metrics["test/loss"], rel=0.02)


def test_made_in_the_first_run_and_found_in_the_next(
    tiny_run: Overrides, _own_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = tiny_run("tuning.frozen_layers=1")
    train(one)
    said = capsys.readouterr().out
    assert "trunk    cache: 1 layer of 40 examples, 0.1 MB, made in" in said
    made = entries(_own_cache)
    assert len(made) == 3
    times = [file.stat().st_mtime_ns for file in made]
    train([*one, "optimizer.lr=1e-2"])
    assert "1 layer of 40 examples, 0.1 MB, found" in capsys.readouterr().out
    assert [file.stat().st_mtime_ns for file in entries(_own_cache)] == times
    train(tiny_run("tuning.frozen_layers=2"))
    assert "2 layers of 40 examples, 0.1 MB, made in" in capsys.readouterr().out
    assert len(entries(_own_cache)) == 6


def test_a_damaged_file_is_made_anew_and_changes_nothing(tiny_run: Overrides, _own_cache: Path) -> None:
    overrides = tiny_run("tuning.frozen_layers=1", "force=true")
    first = weights(train(overrides).folder)
    for file in entries(_own_cache):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 0x40
        file.write_bytes(content)
    assert weights(train(overrides).folder) == first


def test_whether_states_are_kept_is_no_part_of_the_run(tiny_run: Overrides) -> None:
    one, other = train(tiny_run("tuning.frozen_layers=1", ON)), train(tiny_run("tuning.frozen_layers=1", OFF))
    assert other.already_done
    assert other.folder == one.folder


@pytest.mark.parametrize("use", [ON, "encoding.trunk.use=auto"])
def test_a_crash_changes_nothing_with_kept_states(
    use: str, tiny_run: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = ["tuning.frozen_layers=1", "checkpoint.every_steps=2", use]
    whole = weights(train(tiny_run(*shared, f"run.folder={tmp_path}/whole")).folder)
    overrides = tiny_run(*shared, f"run.folder={tmp_path}/cut")
    with monkeypatch.context() as patch:
        crash_after(patch, 5, fail)
        with pytest.raises(Crash):
            train(overrides)
    assert weights(train(overrides).folder) == whole


@pytest.mark.parametrize("first", [True, False])
def test_a_run_goes_on_as_it_began(
    first: bool, tiny_run: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uses = (ON, OFF) if first else (OFF, ON)
    shared = ["tuning.frozen_layers=1", "checkpoint.every_steps=2"]
    whole = weights(train(tiny_run(*shared, uses[0], f"run.folder={tmp_path}/whole")).folder)
    with monkeypatch.context() as patch:
        crash_after(patch, 5, fail)
        with pytest.raises(Crash):
            train(tiny_run(*shared, uses[0], f"run.folder={tmp_path}/cut"))
    assert json.loads((tmp_path / "cut" / "checkpoints" / CHOICE).read_text()) == {"kept": first}
    assert weights(train(tiny_run(*shared, uses[1], f"run.folder={tmp_path}/cut")).folder) == whole


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ((), "no layer is frozen"),
        (("tuning.frozen_layers=1", "model.random_init=true"), "drawn anew by each seed"),
        (("tuning.frozen_layers=1", "retention=r3f"), "retention r3f changes what goes into the frozen layers"),
        (("tuning.frozen_layers=1", "encoding.trunk.limit_gib=1e-9"), "more than encoding.trunk.limit_gib=9.3"),
    ],
)
def test_asked_for_in_vain(
    settings: tuple[str, ...], reason: str, tiny_run: Overrides, _own_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tiny_run(*settings, ON))
    said = " ".join(capsys.readouterr().out.split())
    assert "trunk states are not kept: " in said
    assert reason in said
    assert not entries(_own_cache)


def test_masked_words_are_read_anew_each_time(
    tiny_model: Path, tmp_path: Path, _own_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["tuning.frozen_layers=1", "trainer.max_steps=2", "data.limit.train=8", ON]
    train(sample_overrides("pretraining", tiny_model, tmp_path / "runs", *more))
    assert "task=pretraining does not read its inputs as they are encoded" in " ".join(capsys.readouterr().out.split())


def test_without_being_asked_for_it_says_nothing(tiny_run: Overrides, capsys: pytest.CaptureFixture[str]) -> None:
    train(tiny_run("tuning.frozen_layers=1", "model.random_init=true"))
    assert "trunk" not in capsys.readouterr().out


def test_a_network_that_does_not_agree_is_run_whole(
    tiny_run: Overrides, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trunk, "_AGREED", {})  # as in a process that has not tried these states out yet
    right = Beginning.states
    monkeypatch.setattr(Beginning, "states", lambda self, run: right(self, run).roll(1, dims=1))
    train(tiny_run("tuning.frozen_layers=1", ON))
    assert "does not answer alike with its kept states" in " ".join(capsys.readouterr().out.split())


def test_a_full_disk_ends_no_run(
    tiny_run: Overrides, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trunk, "opened", full)
    assert train(tiny_run("tuning.frozen_layers=1")).metrics
    assert "states are not kept: the disk said: No space left on device" in capsys.readouterr().out


def test_rules_enter_above_what_is_kept(tiny_run: Overrides, tmp_path: Path, _own_cache: Path) -> None:
    file = tmp_path / "names.yaml"
    file.write_text(
        "description: Names.\nlabels: {PER: person, LOC: place, ORG: group, MISC: other}\n"
        "rules: {capitals: {pattern: '(?P<PER>\\p{Lu}\\p{Ll}+)'}}\n"
    )
    shared = [
        "tuning.frozen_layers=1", "guidance=features", f"rules.path={file}", "trainer.precision=32-true",
    ]  # fmt: skip
    kept, plain = (train(tiny_run(*shared, use, f"run.folder={tmp_path}/{use[-2:]}")) for use in (ON, OFF))
    assert entries(_own_cache)
    one, other = (load_file(each.folder / "model" / "model.safetensors") for each in (kept, plain))
    assert one.keys() == other.keys()
    for name, tensor in other.items():
        torch.testing.assert_close(one[name], tensor, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("task", ["classification", "qa", "relation"])
def test_other_tasks_too(task: str, tiny_model: Path, tmp_path: Path, _own_cache: Path) -> None:
    shared = ["tuning.frozen_layers=1", "trainer.max_epochs=2", "data.limit.train=16"]
    results = [
        train(sample_overrides(task, tiny_model, tmp_path / use[-2:], *shared, use)).metrics["validation/loss"]
        for use in (ON, OFF)
    ]
    assert entries(_own_cache)
    assert results[0] == pytest.approx(results[1], rel=1e-3)


@pytest.mark.parametrize("method", ["distill", "lwf", "rehearsal", "l2sp"])
def test_methods_that_read_other_texts_run_the_whole_network(
    method: str, tiny_run: Overrides, tmp_path: Path, _own_cache: Path
) -> None:
    shared = ["tuning.frozen_layers=1", f"retention={method}", "trainer.precision=32-true", "trainer.max_steps=4"]
    kept, plain = (train(tiny_run(*shared, use, f"run.folder={tmp_path}/{use[-2:]}")) for use in (ON, OFF))
    assert entries(_own_cache)
    assert kept.metrics["validation/loss"] == pytest.approx(plain.metrics["validation/loss"], rel=1e-3)


def test_gradual_unfreezing_keeps_what_never_learns(
    tiny_run: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = ["tuning=gradual", "tuning.frozen_layers=1", "trainer.precision=32-true"]
    kept, plain = (train(tiny_run(*shared, use, f"run.folder={tmp_path}/{use[-2:]}")) for use in (ON, OFF))
    assert "1 layer of 40 examples" in capsys.readouterr().out
    assert kept.metrics["test/loss"] == pytest.approx(plain.metrics["test/loss"], rel=1e-3)


def test_it_pays_from_the_second_reading_on() -> None:
    tokens = {"train": 1000, "validation": 100, "test": 100}
    assert not pays({"train": 1, "validation": 2, "test": 1}, tokens, is_shared=False)
    assert pays({"train": 2, "validation": 3, "test": 1}, tokens, is_shared=False)
    assert pays({"train": 1, "validation": 2, "test": 1}, tokens, is_shared=True)


def test_one_epoch_alone_computes_and_a_sweep_of_it_keeps(tiny_run: Overrides, _own_cache: Path) -> None:
    overrides = tiny_run("tuning.frozen_layers=1", "trainer.max_epochs=1", "force=true")
    train(overrides)
    assert not entries(_own_cache)
    with many_trials():
        train(overrides)
    assert entries(_own_cache)


@pytest.mark.parametrize(("frozen", "threads"), [("all", 1), ("1", 2)])
def test_a_head_alone_learns_in_one_thread(
    frozen: str, threads: int, tiny_run: Overrides, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[int] = set()
    step = FineTuning.training_step

    def note(self: FineTuning, *arguments: Any) -> torch.Tensor:
        seen.add(torch.get_num_threads())
        return step(self, *arguments)

    monkeypatch.setattr(FineTuning, "training_step", note)
    torch.set_num_threads(2)
    train(tiny_run(f"tuning.frozen_layers={frozen}"))
    assert seen == {threads}
    assert torch.get_num_threads() == 2
