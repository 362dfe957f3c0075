"""Plain records: what every reader gives and everything after it takes."""

from typing import Any

# {"id": str, "source": "file:line", <task fields>}. Typed fields have one form, whatever the file's:
#   text, question, context: str; tokens, tags: lists of str of one length
#   spans: [{"start", "end", "label"}] in text (places count characters, the end is exclusive)
#   label: str; labels: list of str; score: float
#   first, second: str, or {"start", "end", "text"} in text, with "type" where it is known
#   answers: [{"text", "answer_start"}] in context; empty = the context has none
#   target: str, or a list of several acceptable texts
#   turns: [{"role": "user" | "assistant" | "system", "text"}]
Record = dict[str, Any]
# keys among "train", "validation", "test"
Splits = dict[str, list[Record]]
