"""Small data and a run that takes a second, for fixtures of any scope."""

from pathlib import Path

from rag_lightning.data import samples

SAMPLE = Path(samples.__path__[0]) / "ner"


def write_small_data(folder: Path) -> Path:
    """CoNLL files of 24 + 8 + 8 sentences of the sample."""
    folder.mkdir(parents=True)
    for split, size in (("train", 24), ("validation", 8), ("test", 8)):
        sentences = (SAMPLE / f"{split}.conll").read_text(encoding="utf-8").strip().split("\n\n")
        (folder / f"{split}.conll").write_text("\n\n".join(sentences[:size]) + "\n", encoding="utf-8")
    return folder


def tiny_overrides(model: Path, data: Path, output_dir: Path, *more: str) -> list[str]:
    """Overrides of a training of eight steps; further ones may be given."""
    return [
        "model=local", f"model.path={model}", "model.name=tiny", "data=conll", f"data.path={data}",
        f"output_dir={output_dir}", "trainer=cpu", "trainer.max_epochs=2", "trainer.log_every_n_steps=1",
        "batching.size=6", "logger=none", "optimizer.lr=1e-3", *more,
    ]  # fmt: skip


def sample_overrides(task: str, model: Path, output_dir: Path, *more: str) -> list[str]:
    """Overrides of a training on a task's embedded sample; further ones may be given."""
    return [
        f"task={task}", "model=local", f"model.path={model}", "model.name=tiny", "trainer=cpu",
        f"output_dir={output_dir}", "trainer.enable_progress_bar=false", "logger=none", "optimizer.lr=3e-3",
        "trainer.precision=32-true", *more,
    ]  # fmt: skip
