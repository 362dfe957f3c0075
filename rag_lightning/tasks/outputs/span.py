"""Output kind: a stretch of a text that answers a question (Devlin et al. 2019, section 4.2).

The network scores every sub-token as the first and as the last of the answer. A text longer than the window is read in
overlapping windows, each with the question; a window without the answer points at the first token, which stands for
"no answer".
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rag_lightning.data.records import Record
from rag_lightning.decoding.answers import N_BEST, assemble
from rag_lightning.encoding.render import Segment
from rag_lightning.encoding.segments import Part, encode_segments, shorten
from rag_lightning.encoding.windows import windows
from rag_lightning.errors import UserError
from rag_lightning.model.interface import accepted_inputs
from rag_lightning.tasks.task import Columns, EncodingContext, OutputKind

IGNORED = -100  # a question whose answer is not known
NO_ANSWER = 0  # the token that stands for none
TEXT = "text"  # the field in which the answer stands
LONGEST = 30


@dataclass(frozen=True)
class TokenPlaces:
    """A text in sub-tokens, and the characters ``begins`` to ``ends`` (exclusive) that each stands for."""

    ids: list[int]
    begins: np.ndarray
    ends: np.ndarray

    def covering(self, start: int, end: int) -> tuple[int, int]:
        """The first and the last sub-token of the shortest stretch that holds the characters ``start`` to ``end``."""
        first = int(np.searchsorted(self.ends, start, side="right"))
        last = int(np.searchsorted(self.begins, end, side="left")) - 1
        return min(first, last), last


def encode(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    """One row per window; records have ``text``, ``question`` and, where they are labelled, ``answers``.

    Columns beside the usual: ``labels`` (first and last token of the answer), ``text_start`` and ``text_end`` (the
    tokens among which the answer is sought), ``begins`` and ``ends`` (their characters), ``window`` of ``windows``,
    ``left_out`` (tokens of question and template that found no room).

    Raises:
        UserError: if the template does not show the text, or shows it twice.
    """
    names = (
        "input_ids", "labels", "begins", "ends", "text_start", "text_end", "window", "windows", "left_out", "example",
        "n_labels",
    )  # fmt: skip
    columns: Columns = {name: [] for name in names}
    rendered = encode_segments(records, _sharing(context.render, records), context.words)
    texts = _texts(records, rendered, context)
    for number, (record, parts) in enumerate(zip(records, rendered, strict=True), start=first):
        place = _place_of_text(parts)
        for row in _rows(parts, place, texts[id(parts[place].segment)], _gold(record), context):
            for name, value in row.items():
                columns[name].append(value)
            columns["example"].append(number)
            columns["n_labels"].append(0 if row["labels"][0] == IGNORED else len(row["labels"]))
    return columns


def _sharing(render: Callable[[Record], list[Segment]], records: Sequence[Record]) -> Callable[[Record], list[Segment]]:
    """The render with one segment for each text, so that a text with many questions is encoded once."""
    if prepare := getattr(render, "prepare", None):
        prepare(records)
    known: dict[str, Segment] = {}

    def rendered(record: Record) -> list[Segment]:
        return [
            known.setdefault(record["text"], segment) if _is_text(segment) else segment for segment in render(record)
        ]

    return rendered


def _is_text(segment: Segment) -> bool:
    return segment.field == TEXT and segment.rank == 0


def _place_of_text(parts: Sequence[Part]) -> int:
    places = [number for number, part in enumerate(parts) if _is_text(part.segment)]
    if len(places) != 1:
        raise UserError(
            f"the text in which the answer stands must be shown once, not {len(places)} times",
            where="template.text",
            remedy="Write {text} once; it stands for the question and the text.",
        )
    return places[0]


def _texts(
    records: Sequence[Record], rendered: Sequence[list[Part]], context: EncodingContext
) -> dict[int, TokenPlaces]:
    """The places of each text's sub-tokens, by the identity of its segment."""
    distinct: dict[int, tuple[str, Part]] = {}
    for record, parts in zip(records, rendered, strict=True):
        part = parts[_place_of_text(parts)]
        distinct.setdefault(id(part.segment), (record["text"], part))
    found = context.words.places([part.segment.words for _, part in distinct.values()])
    return {
        key: _token_places(text, part, places)
        for (key, (text, part)), places in zip(distinct.items(), found, strict=True)
    }


def _token_places(text: str, part: Part, places: Sequence[Sequence[tuple[int, int]]]) -> TokenPlaces:
    begins: list[int] = []
    ends: list[int] = []
    at = 0
    for word, inside in zip(part.segment.words, places, strict=True):
        at = text.index(word, at)
        begins += [at + start for start, _ in inside]
        ends += [at + end for _, end in inside]
        at += len(word)
    ids = [token for piece in part.pieces for token in piece]
    return TokenPlaces(ids, np.array(begins, dtype=np.int64), np.array(ends, dtype=np.int64))


def _gold(record: Record) -> tuple[int, int] | None:
    """The characters of the answer that most annotators gave, the first of them at a tie; (0, 0) for no answer."""
    if record.get("answers") is None:
        return None
    spans = [(answer["answer_start"], answer["answer_start"] + len(answer["text"])) for answer in record["answers"]]
    return Counter(spans).most_common(1)[0][0] if spans else (0, 0)


def _rows(
    parts: Sequence[Part], place: int, text: TokenPlaces, gold: tuple[int, int] | None, context: EncodingContext
) -> list[dict[str, Any]]:
    """The text in as many windows as it needs, each with the question and all that the template puts around it."""
    size, room = len(text.ids), context.words.room
    around = [part for number, part in enumerate(parts) if number != place]
    # The question makes room only where it would take more than half of the window from a text that needs it.
    around, cut = shorten(around, room - min(size, room // 2))
    ids = [[token for part in some for piece in part.pieces for token in piece] for some in _split(around, place)]
    before, after = [*context.words.prefix, *ids[0]], [*ids[1], *context.words.suffix]
    answer = None if not gold or gold[0] == gold[1] or not size else text.covering(*gold)
    bounds = _bounds(size, room - len(ids[0]) - len(ids[1]), context.overlap)
    rows = []
    for number, (start, end) in enumerate(bounds):
        labels = [IGNORED, IGNORED] if gold is None else [NO_ANSWER, NO_ANSWER]
        if answer and start <= answer[0] and answer[1] < end:
            labels = [len(before) + token - start for token in answer]
        rows.append(
            {
                "input_ids": [*before, *text.ids[start:end], *after],
                "labels": labels,
                "begins": text.begins[start:end].tolist(),
                "ends": text.ends[start:end].tolist(),
                "text_start": len(before),
                "text_end": len(before) + end - start,
                "window": number,
                "windows": len(bounds),
                "left_out": sum(cut.values()),
            }
        )
    return rows


def _split(around: list[Part], place: int) -> tuple[list[Part], list[Part]]:
    return around[:place], around[place:]


def _bounds(size: int, room: int, overlap: float) -> list[tuple[int, int]]:
    """Windows by sub-token, because text without spaces is one word; one window for an empty text."""
    if size <= room:
        return [(0, size)]
    return [(window.start, window.end) for window in windows([1] * size, room, overlap)]


def forward(network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Scores of each token as the first and as the last of the answer, (rows, tokens, 2)."""
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    if _tells_texts_apart(network):
        # As a pair of texts in pretraining: what precedes the text is 0, the text and its end 1.
        inputs["token_type_ids"] = (_positions(batch) >= batch["text_start"].unsqueeze(1)) * batch["attention_mask"]
    output = network(**inputs)
    return torch.stack((output.start_logits, output.end_logits), dim=-1)


def _tells_texts_apart(network: nn.Module) -> bool:
    types = int(getattr(network.config, "type_vocab_size", None) or 0)
    return types > 1 and "token_type_ids" in accepted_inputs(network)


def _positions(batch: dict[str, Tensor]) -> Tensor:
    """(1, tokens)."""
    return torch.arange(batch["input_ids"].shape[1], device=batch["input_ids"].device).unsqueeze(0)


def _inside(batch: dict[str, Tensor]) -> Tensor:
    """Whether a token is one of the text, (rows, tokens)."""
    positions = _positions(batch)
    return (positions >= batch["text_start"].unsqueeze(1)) & (positions < batch["text_end"].unsqueeze(1))


def _log_probabilities(logits: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Over the text's tokens and the one for no answer, (rows, tokens, 2); and which tokens are the text's."""
    inside = _inside(batch)
    possible = inside | (_positions(batch) == NO_ANSWER)
    masked = logits.float().masked_fill(~possible.unsqueeze(-1), torch.finfo(torch.float32).min)
    return torch.log_softmax(masked, dim=1), inside


def loss(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Summed cross-entropy of the first and the last token over the tokens that they may be.

    Args:
        logits: (rows, tokens, 2).
        batch: with ``labels`` (rows, 2), ``text_start`` and ``text_end`` (rows,) and, optionally, ``weight`` (rows,).
    """
    found, _ = _log_probabilities(logits, batch)
    each = F.nll_loss(found, batch["labels"], ignore_index=IGNORED, reduction="none")
    if (weight := batch.get("weight")) is not None:
        each = each * weight.to(each.dtype).unsqueeze(1)
    return each.sum()


def decode(logits: Tensor, batch: dict[str, Tensor], *, n_best: int = N_BEST, longest: int = LONGEST) -> dict[str, Any]:
    """The best stretches of every window by the product of the probabilities of their ends, and that of no answer.

    Args:
        logits: (rows, tokens, 2).
        batch: as for :func:`loss`, with ``begins`` and ``ends`` (rows, tokens of the text).
        n_best: stretches of each window.
        longest: tokens of a stretch.

    Returns:
        Arrays with an entry for each row; ``score``, ``begin`` and ``end`` have one for each stretch, the score -inf
        where there is none.
    """
    found, inside = _log_probabilities(logits, batch)
    tokens = found.shape[1]
    longest = min(longest, tokens)
    first, last = (found[..., side].masked_fill(~inside, -torch.inf) for side in (0, 1))
    ends = F.pad(last, (0, longest - 1), value=-torch.inf).unfold(1, longest, 1)  # a view: (rows, tokens, longest)
    score, place = (first.unsqueeze(-1) + ends).flatten(1).topk(min(n_best, tokens * longest))
    start = place // longest
    limit = max(0, batch["begins"].shape[1] - 1)
    offset = batch["text_start"].unsqueeze(1)
    # A score of -inf may stand anywhere; its place is only kept within the table.
    begins, ends_ = (
        F.pad(batch[name], (0, 1)).gather(1, (token - offset).clamp(0, limit))
        for name, token in (("begins", start), ("ends", start + place % longest))
    )
    arrays = {"score": score, "begin": begins, "end": ends_, "no_answer": found[:, NO_ANSWER].sum(-1)}
    arrays |= {name: batch[name] for name in ("example", "window", "windows")}
    return {name: tensor.cpu().numpy() for name, tensor in arrays.items()}


def equip(kind: OutputKind, network: Any, context: EncodingContext) -> OutputKind:
    """The kind that is silent where the network's config says so."""

    def silenced(
        records: Sequence[Record], decoded: Sequence[dict[str, Any]], labels: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        return assemble(records, decoded, labels, n_best=context.options.n_best, config=network.config)

    return replace(kind, assemble=silenced)


SPAN = OutputKind(
    name="span",
    encode=encode,
    padding={"labels": IGNORED, "begins": 0, "ends": 0},
    loss=loss,
    decode=decode,
    assemble=assemble,
    forward=forward,
    equip=equip,
)
