"""A stretch of a text that answers a question; ``tasks/outputs/span.py`` in numpy."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rag_lightning.data.records import Record
from rag_lightning.decoding.answers import assemble
from rag_lightning.encoding.rows.spans import IGNORED, NO_ANSWER, encode
from rag_lightning.export.shapes.shape import Arrays, Head, Shape


def _types(batch: Arrays) -> Arrays:
    """As a pair of texts in pretraining: what precedes the text is 0, the text and its end 1."""
    place = np.arange(batch["input_ids"].shape[1])
    return {"token_type_ids": (place >= batch["text_start"][:, None]) * batch["attention_mask"]}


def _decode(outputs: list[np.ndarray], batch: Arrays, head: Head) -> dict[str, Any]:
    place = np.arange(outputs[0].shape[1])
    inside = (place >= batch["text_start"][:, None]) & (place < batch["text_end"][:, None])
    scores = np.where((inside | (place == NO_ANSWER))[..., None], outputs[0].astype(np.float32), -np.inf)
    raised = scores - scores.max(axis=1, keepdims=True)
    found = raised - np.log(np.exp(raised).sum(axis=1, keepdims=True))
    longest = min(head.options.max_answer_tokens, found.shape[1])
    first, last = (np.where(inside, found[..., side], -np.inf) for side in (0, 1))
    ends = sliding_window_view(np.pad(last, ((0, 0), (0, longest - 1)), constant_values=-np.inf), longest, axis=1)
    flat = (first[..., None] + ends).reshape(len(found), -1)
    best = np.argsort(-flat, axis=1, kind="stable")[:, : head.options.n_best]
    start = best // longest
    limit = max(0, batch["begins"].shape[1] - 1)
    begins, stops = (
        np.take_along_axis(np.pad(batch[name], ((0, 0), (0, 1))), np.clip(token, 0, limit), axis=1)
        for name, token in (
            ("begins", start - batch["text_start"][:, None]),
            ("ends", start + best % longest - batch["text_start"][:, None]),
        )
    )
    return {
        "score": np.take_along_axis(flat, best, axis=1),
        "begin": begins,
        "end": stops,
        "no_answer": found[:, NO_ANSWER].sum(-1),
        **{name: batch[name] for name in ("example", "window", "windows")},
    }


def _assemble(records: Sequence[Record], decoded: Sequence[dict[str, Any]], head: Head) -> list[Any]:
    return assemble(records, decoded, (), n_best=head.options.n_best, config=SimpleNamespace(**head.config))


SPAN = Shape("ends", encode, {"labels": IGNORED, "begins": 0, "ends": 0}, _decode, _assemble, inputs=_types)
