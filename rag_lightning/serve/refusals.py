"""Every refusal as JSON: ``{"error": what is wrong, "remedy": what to do}``."""

import json
from typing import Any

from starlette.responses import Response

from rag_lightning.errors import UserError


class Refusal(Exception):
    """A request that is not answered.

    Args:
        status: of HTTP.
        error: what is wrong, in a sentence.
        remedy: what to do about it.
        headers: further ones.
    """

    def __init__(self, status: int, error: str, remedy: str | None = None, **headers: str) -> None:
        super().__init__(error)
        self.status, self.error, self.remedy = status, error, remedy
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    @property
    def response(self) -> Response:
        told = {"error": self.error, **({"remedy": self.remedy} if self.remedy else {})}
        return as_json(told, self.status, self.headers)


def of_user_error(mistake: UserError) -> Refusal:
    """A mistake in what was sent."""
    place = f"{mistake.where}: " if mistake.where else ""
    return Refusal(422, f"{place}{mistake.reason}", mistake.remedy)


def as_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A response of JSON that every parser reads: no NaN."""
    content = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return Response(content, status, headers, "application/json")
