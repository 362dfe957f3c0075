"""The pictures: PNG files of a sane size that show something."""

import warnings
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from example_run import history

from rag_lightning.report.history import read_history
from rag_lightning.report.plots import _fold, _panels, plot_confusion, plot_curves
from rag_lightning.tasks.evaluation import Confusion


def _picture(path: Path) -> np.ndarray:
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    picture = np.asarray(matplotlib.image.imread(path))[..., :3]
    assert picture[0, 0].min() == 1.0, "white ground"
    assert 0.02 < (picture.min(axis=2) < 0.9).mean() < 0.6, "neither blank nor black"
    return picture


def _confusion(n: int, prefix: str = "B-TYP") -> Confusion:
    counts = np.random.default_rng(n).poisson(0.5, (n, n)) + 90 * np.eye(n, dtype=int)
    counts[n - 1, n - 1] = 12_345
    counts[0] = 0  # a label without gold examples
    return Confusion(tuple(f"{prefix}{i}" for i in range(n)), tuple(tuple(map(int, row)) for row in counts))


def test_curves(tmp_path: Path) -> None:
    rows = read_history(history(tmp_path / "history.jsonl"))
    assert plot_curves(tmp_path / "curves.png", rows)
    height, width, _ = _picture(tmp_path / "curves.png").shape
    assert 1200 < width < 1700
    assert 500 < height < 1000
    titles = [title for title, _ in _panels(rows, "f1")]
    assert titles == [
        "loss",
        "validation f1",
        "validation f1 by label",
        "learning rate",
        "gradient norm",
        "tokens/s",
    ]


def test_curves_leave_out_what_was_not_logged(tmp_path: Path) -> None:
    rows = [{"step": 1, "epoch": 0.5, "train/loss": float("nan"), "validation/f1": float("nan")}]
    assert plot_curves(tmp_path / "curves.png", rows)
    assert [title for title, _ in _panels(rows, "f1")] == ["loss", "validation f1"]
    assert not plot_curves(tmp_path / "none.png", [])
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize("n", [2, 9, 40])
def test_confusion_grows_with_its_labels(tmp_path: Path, n: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_confusion(tmp_path / "confusion.png", _confusion(n, "B-人物" if n == 2 else "B-TYP"))
    height, width, _ = _picture(tmp_path / "confusion.png").shape
    assert 150 + 40 * n < width < 400 + 90 * n
    assert 80 + 40 * n < height < 300 + 90 * n


def test_more_labels_than_fit_are_folded_without_loss() -> None:
    confusion = _confusion(60)
    labels, counts = _fold(confusion)
    assert len(labels) == 40
    assert labels[-1] == "other (21)"
    assert "B-TYP59" in labels
    assert counts.sum() == np.asarray(confusion.counts).sum()
