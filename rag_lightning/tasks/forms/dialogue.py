"""What a dialogue reads and answers, as JSON schemas."""

from typing import Any

INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "description": "the first turn, instead of turns"},
        "turns": {
            "type": "array",
            "minItems": 1,
            "description": "what was said, the user's last turn at the end",
            "items": {
                "anyOf": [
                    {"type": "string"},
                    {
                        "type": "object",
                        "properties": {
                            "role": {"type": "string", "enum": ["user", "assistant", "system"]},
                            "text": {"type": "string"},
                        },
                        "required": ["role", "text"],
                    },
                ]
            },
        },
    },
    "anyOf": [{"required": ["text"]}, {"required": ["turns"]}],
    "example": {"text": "Are you open on Sundays?"},
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "reply": {"type": "string"},
        "unfinished": {"type": "boolean"},
        "cut": {"type": "integer", "description": "tokens that found no room"},
    },
    "required": ["text", "reply"],
}
