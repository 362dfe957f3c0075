"""What translation reads and answers, as JSON schemas."""

from typing import Any

INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "example": {"text": "The shop is closed on Mondays."},
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "translation": {"type": "string"},
        "unfinished": {"type": "boolean"},
        "cut": {"type": "integer", "description": "tokens that found no room"},
    },
    "required": ["text", "translation"],
}
