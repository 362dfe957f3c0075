"""Parquet tables, as data frames and the Hub's datasets are stored."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rag_lightning.data.fields import columns_of, make_record
from rag_lightning.data.options import DataConfig
from rag_lightning.data.records import Record
from rag_lightning.errors import UserError


def read(path: Path, config: DataConfig, split: str) -> list[Record]:
    """One record per row. Whole-number labels become names where the file or ``data.label_names`` has them.

    Raises:
        UserError: a damaged file, a missing column, a value of the wrong type.
    """
    try:
        schema = pq.read_schema(path)
        wanted = columns_of(config)
        columns = [name for name in schema.names if name in wanted]
        rows = pq.read_table(path, columns=columns).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"this is not a complete parquet file ({str(error).splitlines()[0][:120]})",
            where=str(path),
            remedy="Copy or download it again, or choose another format (data=jsonl, data=csv …).",
        ) from None
    if not rows:
        raise UserError("the file holds no row", where=str(path), remedy="Choose another file with data.path.")
    names = label_names(schema)
    present = dict.fromkeys(schema.names)
    records = []
    for number, row in enumerate(rows, 1):
        for column, labels in names.items():
            if column in row:
                row[column] = _named(row[column], labels)
        where = f"row {number}"
        # all columns, so that a missing one can be answered with those that are there
        records.append(make_record(present | row, config, f"{path}:{where}", f"{path.name}:{where}"))
    return records


def label_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Column -> names of its whole-number labels, where ``datasets`` wrote the file and stored them."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    found = {}
    for column, feature in features.items():
        while isinstance(feature, dict) and isinstance(feature.get("feature"), dict):
            feature = feature["feature"]
        if isinstance(feature, list) and feature:
            feature = feature[0]
        if isinstance(feature, dict) and isinstance(feature.get("names"), list):
            found[column] = [str(name) for name in feature["names"]]
    return found


def _named(value: Any, names: list[str]) -> Any:
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value
