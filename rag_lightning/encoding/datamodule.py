"""The DataModule: read -> prepare -> encode -> cache -> batches."""

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl

from rag_lightning import __version__
from rag_lightning.config.paths import cache_dir
from rag_lightning.config.schema import BatchingConfig, EncodingConfig
from rag_lightning.data.load import load_split, load_splits
from rag_lightning.data.near_duplicates import words_of
from rag_lightning.data.options import DataConfig
from rag_lightning.data.records import Record, Splits
from rag_lightning.data.running_text import Paragraphs
from rag_lightning.encoding.batches import BatchPlan
from rag_lightning.encoding.cache import EncodedSplit, cached, write_split
from rag_lightning.encoding.loader import EncodedDataset, ResumableLoader
from rag_lightning.encoding.notes import cut_notes, unknown_notes
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.errors import UserError
from rag_lightning.generation.options import GREEDY, GenerationOptions
from rag_lightning.guidance.guide import Guide
from rag_lightning.rules.ruleset import check_labels, undescribed
from rag_lightning.tasks.task import Columns, EncodingContext, Prepared, Task, with_known_labels
from rag_lightning.template.build import save_render
from rag_lightning.template.rendering import Rendering
from rag_lightning.trunk.states import PackedStates

log = logging.getLogger(__name__)
LARGE = 2000  # rows from which padding costs more than mixed batches gain: a step is then one of many
CHUNK = 2000  # records encoded at a time: bounds memory, and the Arrow batches on disk


class GuidedDataModule(pl.LightningDataModule):
    """Reads examples, renders and encodes them, keeps the result, and serves batches.

    Args:
        data: where the examples come from.
        content: fingerprint of the data's content.
        task, options: what is to be learned.
        words: the encoder of the backbone's tokenizer, and its fingerprint in ``model``.
        guide: rules and the ways in which they take part.
        rendering: how a template shapes the input.
        generation: how text is written, where the task writes; room for it is kept in the window.
        only: read this split alone, as it is, for an evaluation; None reads all and cuts missing ones from train.
    """

    def __init__(
        self, *, data: DataConfig, content: str, task: Task, options: Any, words: WordEncoder, model: str,
        batching: BatchingConfig, encoding: EncodingConfig, seed: int, guide: Guide, rendering: Rendering,
        only: str | None = None, generation: GenerationOptions = GREEDY,
    ) -> None:  # fmt: skip
        super().__init__()
        self.data, self.content = data, content
        self.task, self.options = task, options
        self.words, self.model = words, model
        self.batching, self.encoding, self.seed = batching, encoding, seed
        self.guide, self.rendering, self.only, self.generation = guide, rendering, only, generation
        self.learn_from = "train"  # the split of the training on labelled examples
        self.splits: dict[str, EncodedSplit] = {}
        self.states: dict[str, PackedStates] = {}  # what frozen layers say of a split, where it is kept
        self.states_folder: tempfile.TemporaryDirectory[str] | None = None  # of states that go with the run
        self.meta: dict[str, Any] = {}

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.meta["labels"])

    @property
    def notes(self) -> list[str]:
        return [*self.meta["notes"], *cut_notes(self.splits), *unknown_notes(self.splits, self.words.tokenizer)]

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
            "rendering": self.rendering.fingerprint,
            "guide": self.guide.fingerprint,
            "seed": self.seed,
            "only": self.only,
            "room": self.generation.max_new_tokens if self.task.output.head == "text" else None,
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
            loaded = load_splits(self.data, self.seed, self.task.reading)
            if "validation" not in loaded.splits:
                raise UserError(
                    "there is no validation split, by which the best weights are chosen",
                    where="data.split.validation",
                    remedy="Set a share above 0, such as 0.1, or add a file for it.",
                )
        else:
            loaded = load_split(self.data, self.only, self.task.reading)
        prepared = self.task.prepare(loaded.splits, with_known_labels(self.options, loaded.labels))
        known = self.task.rule_labels(prepared.labels)
        notes = [*loaded.notes, *prepared.notes]
        if self.task.of_named_labels:  # elsewhere rules say in the text what they found, and may name it as they like
            check_labels(self.guide.ruleset, known, "rules")
            notes += undescribed(self.guide.ruleset, known)
        self._teach_examples(prepared, notes)
        splits = {name: self._annotated(records) for name, records in prepared.splits.items()}
        if self.guide.supervises and "unlabelled" in splits:
            splits["weak"] = self._weakly_labelled(splits, prepared, notes)
        elif self.guide.supervises and self.only is None:
            notes.append("There are no unlabelled examples that the rules could label (data.shots, data.unlabelled).")
        # Without a labelled example the unlabelled ones say which fields a template can show.
        context = self._context(splits.get("train") or splits.get("unlabelled", []), prepared.labels)
        for name, records in splits.items():
            write_split(folder, name, records, self._columns(name, records, context))
        meta = {
            "labels": list(prepared.labels),
            "notes": notes,
            "sizes": {name: len(records) for name, records in splits.items()},
            "render": save_render(context.render),
        }
        (folder / "meta.json").write_text(json.dumps(meta, ensure_ascii=False, indent=1), encoding="utf-8")

    def _annotated(self, records: Sequence[Record]) -> list[Record]:
        """The records with what the rules found in them; running text gets it whenever some of it is read."""
        if not isinstance(records, Paragraphs):
            return self.guide.annotate(records)
        return cast(list[Record], records.mapped(self.guide.annotate) if self.guide.has_rules else records)

    def _teach_examples(self, prepared: Prepared, notes: list[str]) -> None:
        """Put the rule file's examples of labels beside the labelled ones."""
        if self.only is not None or not (given := self.guide.told_examples(prepared.labels)):
            return
        given = [{**record, **self.task.read_text(record["text"])} for record in given]
        own, splits = prepared.splits["train"], prepared.splits
        judged = {tuple(words_of(r)) for name in ("validation", "test") for r in splits.get(name, ())}
        told = [record for record in given if tuple(words_of(record)) not in judged]
        notes.append(f"{len(told):,} examples of the rule file join the {len(own):,} labelled training examples.")
        if len(told) < len(given):
            notes.append(f"{len(given) - len(told):,} others are left out: they stand in validation or test.")
        splits["train"] = [*own, *told]

    def _weakly_labelled(self, splits: Splits, prepared: Prepared, notes: list[str]) -> list[Record]:
        pool = splits["unlabelled"]
        records = self.guide.weakly_labelled(pool, self.task.rule_labels(prepared.labels), self.seed)
        notes.append(f"Rules labelled {len(records):,} of {len(pool):,} unlabelled examples.")
        return records

    def context(self) -> EncodingContext:
        """How records are encoded, once the labels are known."""
        shown = [split.records for name in ("train", "unlabelled") if (split := self.splits.get(name)) is not None]
        return self._context(next((records for records in shown if records), []), self.labels)

    def _context(self, train: Sequence[Record], labels: tuple[str, ...]) -> EncodingContext:
        return EncodingContext(
            self.words, labels, self.options, self.encoding.overlap, self.rendering.render(train, labels),
            lambda record: self.guide.columns(record, labels), self.guide.column_names, self.generation,
        )  # fmt: skip

    def _columns(self, split: str, records: list[Record], context: EncodingContext) -> Iterator[Columns]:
        from rich.progress import track

        starts = range(0, max(1, len(records)), CHUNK)
        shown = track(starts, f"encoding {split}", transient=True, disable=len(records) <= CHUNK)
        for start in shown:
            yield self.task.output.encode(records[start : start + CHUNK], start, context)

    def add_mixture(self, name: str, further: Sequence[Record], weight: float, folder: Path) -> None:
        """A split of the labelled examples and further ones, which count ``weight`` beside them in the loss.

        Args:
            name: of the new split.
            further: records with labels and, where there are rules, hits.
            weight: of each of them; a labelled example counts 1.
            folder: where its encoded form is kept.
        """
        train = self.splits["train"].records
        records = [*train, *further]

        def weighted(columns: Columns) -> Columns:
            weights = [1.0 if example < len(train) else weight for example in columns["example"]]
            return {**columns, "weight": weights}

        folder.mkdir(parents=True, exist_ok=True)
        context = self.context()
        write_split(folder, name, records, map(weighted, self._columns(name, records, context)))
        self.splits[name] = EncodedSplit.open(folder, name)

    def budget(self) -> int:
        """Padded tokens in a training batch."""
        if self.batching.tokens is not None:
            return self.batching.tokens
        lengths = next(split.lengths for split in self.splits.values() if len(split))  # train, or with 0 shots another
        return max(1, round(self.batching.size * float(lengths.mean())))

    def batches_per_epoch(self, split: str | None = None) -> int:
        """Of training on a split (None: the labelled examples); the same on any number of devices."""
        return len(self._plan(split or self.learn_from, self.budget(), training=True))

    def train_dataloader(self) -> ResumableLoader:
        return self.training_loader(self.learn_from)

    def training_loader(self, split: str) -> ResumableLoader:
        """Batches of any split, as in training."""
        return self._loader(split, self.budget(), training=True)

    def val_dataloader(self) -> ResumableLoader:
        return self._loader("validation", self.batching.eval_tokens, training=False)

    def test_dataloader(self) -> ResumableLoader:
        return self._loader("test", self.batching.eval_tokens, training=False)

    def loader(self, split: str) -> ResumableLoader:
        """A split's rows once each, in the order of evaluation."""
        return self._loader(split, self.batching.eval_tokens, training=False)

    def dataset(self, name: str, *, training: bool = False) -> EncodedDataset:
        """A split's rows, to be taken as padded batches; of a training batch each device takes its share."""
        marks = dict.fromkeys(self.guide.column_names, 0)
        padding = {**self.task.output.padding, **marks, "input_ids": self.words.tokenizer.pad_token_id}
        rank, world_size = self._place()
        return EncodedDataset(
            self.splits[name], padding, deal_out=training, rank=rank, world_size=world_size,
            states=self.states.get(name),
        )  # fmt: skip

    def _loader(self, name: str, budget: int, *, training: bool) -> ResumableLoader:
        dataset = self.dataset(name, training=training)
        return ResumableLoader(dataset, self._plan(name, budget, training=training), self.batching.workers)

    def _plan(self, name: str, budget: int, *, training: bool) -> BatchPlan:
        rank, world_size = self._place()
        return BatchPlan(
            self.splits[name].lengths, budget, shuffle=training, seed=self.seed, rank=rank, world_size=world_size,
            by_length=not training or self._by_length(self.splits[name]),
        )  # fmt: skip

    def _by_length(self, split: EncodedSplit) -> bool:
        wanted = self.batching.by_length
        return len(split) >= LARGE if wanted == "auto" else bool(wanted)

    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
