"""Encoded rows as padded arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def padded(columns: Mapping[str, list[Any]], padding: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Rows as arrays: columns in ``padding`` (rows, the column's longest row), plain ones (rows,) or as they are.

    Added is ``attention_mask``, of ``input_ids``.
    """
    lengths = np.array([len(ids) for ids in columns["input_ids"]])
    batch: dict[str, np.ndarray] = {}
    for name, rows in columns.items():
        if name not in padding:
            batch[name] = np.asarray(rows)
            continue
        batch[name] = np.full((len(rows), max(map(len, rows))), padding[name], dtype=np.int64)
        for line, row in enumerate(rows):
            batch[name][line, : len(row)] = row
    batch["attention_mask"] = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
    return batch
