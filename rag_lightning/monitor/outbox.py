"""What is told outside the state: alerts.jsonl and refused.jsonl, each record once, whatever was killed when."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rag_lightning.errors import UserError

Record = dict[str, Any]


class Outbox:
    """A file of JSON lines that follows a numbered table.

    It is written behind the transaction, so a kill may leave it short, or with half a line: the half line is cut off
    and what lacks is appended when the monitor is started again.

    Args:
        path: the file.
        records: those of the table behind a number.
        tell: is given each record before it is written; after a kill between the two it is given the record again.
    """

    def __init__(self, path: Path, records: Callable[[int], list[Record]], tell: Callable[[Record], None]) -> None:
        self.path, self._records, self._tell = path, records, tell
        self._written = self._mend()

    def follow(self) -> None:
        """Append what the table has and the file has not."""
        for record in self._records(self._written):
            self._tell(record)
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
            self._written = int(record["number"])

    def _mend(self) -> int:
        """Cut off a half line; the number of the last record that stands there."""
        if not self.path.is_file():
            return 0
        with open(self.path, "rb+") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)
        last = content[: content.rfind(b"\n") + 1].rstrip(b"\n").rpartition(b"\n")[2]
        try:
            return int(json.loads(last)["number"]) if last else 0
        except (ValueError, TypeError, KeyError):
            raise UserError(
                "the last line is none of the monitor's", where=str(self.path), remedy="Move the file away."
            ) from None
