"""The interest score: a bi-encoder of ``task=matching``, trained on what was liked and what was liked next."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag_lightning.errors import UserError
from recommending.splits import HISTORY, told

TEXTS = 4  # of 8 titles each, that tell about a user; what was liked before them is not read
Embed = Callable[[list[str]], NDArray[Any]]


def learn(pairs: dict[str, list[dict[str, str]]], output: Path, overrides: Sequence[str]) -> Path:
    """Write the pairs, train on them, and give the folder of the run; a finished run is not trained again.

    The other texts of a batch are the wrong answers (Henderson et al. 2017). They come as often as films are liked, so
    that the score is about *more than usual* rather than about how popular a film is (Yi et al. 2019): popularity has
    a score of its own here.
    """
    from rag_lightning.train import train

    folder = output / "pairs"
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in pairs.items():
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
        print(f"{split}: {len(rows):,} pairs of texts")
    return train([
        "task=matching", "task.encoder=bi", "task.loss=in_batch", "data=jsonl", f"data.path={folder}",
        "data.name=films", "optimizer.lr=2e-4", "batching.size=64", "batching.by_length=false",
        f"output_dir={output / 'runs'}", *overrides,
    ]).folder  # fmt: skip


def embedder(folder: Path) -> Embed:
    """Texts to unit vectors (texts, width), by the model of a finished run.

    Raises:
        UserError: if the folder holds no finished run.
    """
    from rag_lightning.guidance.embedder import embedder_of
    from rag_lightning.model.options import ModelConfig

    if not (folder / "model").is_dir():
        raise UserError(
            "there is no finished run", where=str(folder), remedy="Leave --run out to train one, or give its folder."
        )
    return remembering(embedder_of(lambda: folder / "model", ModelConfig(name="trained", path=folder / "model")))


def untrained(folder: Path) -> Embed:
    """The same by the backbone that the run began from."""
    from rag_lightning.config.validate import validate_train
    from rag_lightning.guidance.embedder import embedder_of
    from rag_lightning.model.resolve import resolve
    from rag_lightning.training.folder import RunFolder

    config = validate_train(RunFolder(folder).read_config()[0])
    return remembering(embedder_of(lambda: resolve(config.model).folder, config.model))


def texts_of(titles: Sequence[str]) -> list[str]:
    """The latest liked titles, eight in a text, the latest text first."""
    ends = range(len(titles), 0, -HISTORY)
    return [told(titles[max(0, end - HISTORY) : end]) for end in list(ends)[:TEXTS]]


def interest(embed: Embed, users: Sequence[Sequence[str]], films: Sequence[str]) -> NDArray[np.float64]:
    """Mean cosine of each user's texts to each film's, (users, films).

    Args:
        embed: texts to unit vectors.
        users: the texts that tell about each user.
        films: a text for each film.
    """
    texts = list(dict.fromkeys([*films, *(text for each in users for text in each)]))
    vectors = dict(zip(texts, embed(texts), strict=True))
    tastes = np.stack([np.mean([vectors[text] for text in each], axis=0) for each in users])
    return (tastes @ np.stack([vectors[text] for text in films]).T).astype(float)


def remembering(embed: Embed) -> Embed:
    """Each text is read once, however often it is asked for; texts of similar length together."""
    from rag_lightning.model.quiet import quiet

    known: dict[str, NDArray[Any]] = {}

    def embedded(texts: list[str]) -> NDArray[Any]:
        new = sorted({text for text in texts if text not in known}, key=lambda text: (len(text), text))
        with quiet():
            known.update(zip(new, embed(new), strict=True))
        return np.stack([known[text] for text in texts])

    return embedded
