"""The DataModule: read -> prepare -> encode -> cache -> batches."""

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from rag_lightning import __version__
from rag_lightning.config.paths import cache_dir
from rag_lightning.config.schema import BatchingConfig, EncodingConfig
from rag_lightning.data.load import load_split, load_splits
from rag_lightning.data.options import DataConfig
from rag_lightning.data.records import Record
from rag_lightning.encoding.batches import BatchPlan
from rag_lightning.encoding.cache import EncodedSplit, cached, write_split
from rag_lightning.encoding.loader import EncodedDataset, ResumableLoader
from rag_lightning.encoding.render import Render, render_plain
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.errors import UserError
from rag_lightning.tasks.task import Columns, EncodingContext, Prepared, Task

log = logging.getLogger(__name__)
CHUNK = 2000  # records encoded at a time: bounds memory, and the Arrow batches on disk


class GuidedDataModule(pl.LightningDataModule):
    """Reads examples, renders and encodes them, keeps the result, and serves batches.

    Args:
        data: where the examples come from.
        content: fingerprint of the data's content.
        task, options: what is to be learned.
        words: the encoder of the backbone's tokenizer, and its fingerprint in ``model``.
        only: read this split alone, as it is, for an evaluation; None reads all and cuts missing ones from train.
        render: the hook where a template and rules shape the input; ``render_name`` identifies it in the cache.
    """

    def __init__(
        self, *, data: DataConfig, content: str, task: Task, options: Any, words: WordEncoder, model: str,
        batching: BatchingConfig, encoding: EncodingConfig, seed: int,
        only: str | None = None, render: Render = render_plain, render_name: str = "plain",
    ) -> None:  # fmt: skip
        super().__init__()
        self.data, self.content = data, content
        self.task, self.options = task, options
        self.words, self.model = words, model
        self.batching, self.encoding, self.seed = batching, encoding, seed
        self.only, self.render, self.render_name = only, render, render_name
        self.splits: dict[str, EncodedSplit] = {}
        self.meta: dict[str, Any] = {}

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.meta["labels"])

    @property
    def notes(self) -> list[str]:
        return list(self.meta["notes"])

    def fingerprint(self) -> str:
        """Of everything that the encoded data depend on."""
        parts = {
            "version": __version__,
            "data": self.data.model_dump(mode="json", exclude={"path", "name"}),
            "content": self.content,
            "task": self.task.name,
            "options": self.options.model_dump(mode="json"),
            "tokenizer": self.model,
            "max_length": self.words.max_length,
            "overlap": self.encoding.overlap,
            "render": self.render_name,
            "seed": self.seed,
            "only": self.only,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]

    def prepare_data(self) -> None:
        if self.meta:
            return
        root = cache_dir() / "encoded"
        if not self.encoding.cache:
            self._scratch = tempfile.TemporaryDirectory(prefix="rag_lightning-")
            root = Path(self._scratch.name)
        try:
            self._entry, hit = cached(root, self.fingerprint(), self._encode)
        except PermissionError as error:
            raise UserError(
                f"the cache folder {root} cannot be written ({error.strerror})",
                remedy="Set RAG_LIGHTNING_CACHE to a folder of your own, or encoding.cache=false.",
            ) from None
        self.meta = json.loads((self._entry / "meta.json").read_text(encoding="utf-8"))
        log.info("encoded data: %s", "from the cache" if hit else "made anew")

    def setup(self, stage: str | None = None) -> None:
        self.prepare_data()
        if not self.splits:
            self.splits = {name: EncodedSplit.open(self._entry, name) for name in self.meta["sizes"]}

    def _encode(self, folder: Path) -> None:
        if self.only is None:
            loaded = load_splits(self.data, self.seed, label_field=self.task.label_field)
            if "validation" not in loaded.splits:
                raise UserError(
                    "there is no validation split, by which the best weights are chosen",
                    where="data.split.validation",
                    remedy="Set a share above 0, such as 0.1, or add a file for it.",
                )
        else:
            loaded = load_split(self.data, self.only)
        prepared = self.task.prepare(loaded.splits, self.options)
        context = EncodingContext(self.words, prepared.labels, self.options, self.encoding.overlap, self.render)
        for name, records in prepared.splits.items():
            write_split(folder, name, records, self._columns(name, records, context))
        (folder / "meta.json").write_text(
            json.dumps(_meta(prepared, loaded.notes), ensure_ascii=False, indent=1), encoding="utf-8"
        )

    def _columns(self, split: str, records: list[Record], context: EncodingContext) -> Iterator[Columns]:
        from rich.progress import track

        starts = range(0, max(1, len(records)), CHUNK)
        shown = track(starts, f"encoding {split}", transient=True, disable=len(records) <= CHUNK)
        for start in shown:
            yield self.task.output.encode(records[start : start + CHUNK], start, context)

    def budget(self) -> int:
        """Padded tokens in a training batch."""
        if self.batching.tokens is not None:
            return self.batching.tokens
        return max(1, round(self.batching.size * float(self.splits["train"].lengths.mean())))

    def batches_per_epoch(self) -> int:
        """Of training; the same on any number of devices."""
        return len(self._plan("train", self.budget(), training=True))

    def train_dataloader(self) -> ResumableLoader:
        return self._loader("train", self.budget(), training=True)

    def val_dataloader(self) -> ResumableLoader:
        return self._loader("validation", self.batching.eval_tokens, training=False)

    def test_dataloader(self) -> ResumableLoader:
        return self._loader("test", self.batching.eval_tokens, training=False)

    def loader(self, split: str) -> ResumableLoader:
        """A split's rows once each, in the order of evaluation."""
        return self._loader(split, self.batching.eval_tokens, training=False)

    def _loader(self, name: str, budget: int, *, training: bool) -> ResumableLoader:
        padding = {**self.task.output.padding, "input_ids": self.words.tokenizer.pad_token_id}
        rank, world_size = self._place()
        dataset = EncodedDataset(self.splits[name], padding, deal_out=training, rank=rank, world_size=world_size)
        return ResumableLoader(dataset, self._plan(name, budget, training=training), self.batching.workers)

    def _plan(self, name: str, budget: int, *, training: bool) -> BatchPlan:
        rank, world_size = self._place()
        return BatchPlan(
            self.splits[name].lengths, budget, shuffle=training, seed=self.seed, rank=rank, world_size=world_size,
            by_length=self.batching.by_length or not training,
        )  # fmt: skip

    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


def _meta(prepared: Prepared, notes: list[str]) -> dict[str, Any]:
    return {
        "labels": list(prepared.labels),
        "notes": [*notes, *prepared.notes],
        "sizes": {name: len(records) for name, records in prepared.splits.items()},
    }
