"""Plain records: what every reader gives and everything after it takes."""

from typing import Any

# {"id": str, "source": "file:line", <task fields>}; for NER "tokens" and "tags" (lists of str of one length),
# or "text" (str) and "spans" ([{"start", "end", "label"}], characters, end exclusive).
Record = dict[str, Any]
# keys among "train", "validation", "test"
Splits = dict[str, list[Record]]
