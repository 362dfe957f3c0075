"""What summarization reads and answers, as JSON schemas."""

from typing import Any

INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "example": {"text": "A long report about the harbour."},
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "summary": {"type": "string"},
        "unfinished": {"type": "boolean"},
        "cut": {"type": "integer", "description": "tokens that found no room"},
    },
    "required": ["text", "summary"],
}
