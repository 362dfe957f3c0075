"""From the bytes of a request to records, within the limits."""

import asyncio
import json
import math
from typing import Any

from starlette.requests import ClientDisconnect, Request

from rag_lightning.data.records import Record
from rag_lightning.errors import UserError, nearest
from rag_lightning.serve.options import LimitOptions
from rag_lightning.serve.refusals import Refusal, of_user_error
from rag_lightning.serve.runs import ServedRun, Way, strings_in

_PARAMETERS = ("run", "rules", "template", "explain")  # of the address
_SWITCHES = {"true": True, "1": True, "false": False, "0": False}


async def body_of(request: Request, limits: LimitOptions) -> Any:
    """The JSON of a request.

    Raises:
        Refusal: 400 no JSON, 408 too slow, 413 too large, 415 something else.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(415, "the body must be JSON", "Send the header Content-Type: application/json.")
    too_large = Refusal(
        413, f"the body has more than {limits.body_bytes:,} bytes", "Send it in parts.", Connection="close"
    )
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > limits.body_bytes:
        raise too_large
    content = bytearray()
    try:
        async with asyncio.timeout(limits.upload_seconds):
            async for chunk in request.stream():
                content += chunk
                if len(content) > limits.body_bytes:
                    raise too_large
    except TimeoutError:
        raise Refusal(
            408, f"the body did not arrive within {limits.upload_seconds:g} s", "Try again.", Connection="close"
        ) from None
    except ClientDisconnect:
        raise Refusal(400, "the client went away before the body was whole") from None
    try:
        return json.loads(content.decode("utf-8"), parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise Refusal(
            400, f"not JSON ({str(error)[:200]})", 'Send an object such as {"text": "…"}, or a list of them.'
        ) from None


def _finite(number: str) -> float:
    """JSON has no other numbers, and an answer that repeats one could not be written."""
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is no finite number")
    return value


def run_of(request: Request, runs: dict[str, ServedRun]) -> ServedRun:
    """The run that a request names; the first one where it names none.

    Raises:
        Refusal: 404 for a name that there is not.
    """
    name = request.query_params.get("run")
    if name is None:
        return next(iter(runs.values()))
    if name not in runs:
        close = nearest(name[:200], list(runs))
        raise Refusal(404, "there is no run of that name", f"Did you mean {close[0]}?" if close else "See /runs.")
    return runs[name]


def way_of(request: Request, run: ServedRun) -> Way:
    """How a request wants to be answered: ``rules``, ``template``, ``explain``, each true or false.

    Raises:
        Refusal: 422 for another value, another parameter, or what the run cannot do.
    """
    given = request.query_params
    for name in given:
        if name not in _PARAMETERS:
            close = nearest(name[:200], list(_PARAMETERS)) or _PARAMETERS
            raise Refusal(422, "the address has a parameter that there is not", f"Did you mean {close[0]}?")
    switches = {}
    for name, default in (("rules", True), ("template", True), ("explain", False)):
        value = given.get(name, str(default)).lower()
        if value not in _SWITCHES:
            raise Refusal(422, f"{name} is true or false")
        switches[name] = _SWITCHES[value]
    way = Way(**switches)
    try:
        run.check_way(way)
    except UserError as mistake:
        raise of_user_error(mistake) from None
    return way


def records_of(body: Any, run: ServedRun, limits: LimitOptions) -> list[Record]:
    """The records of a body: one object, or a list of them.

    Raises:
        Refusal: 422 for what the task does not read, or too much of it.
    """
    given = body if isinstance(body, list) else [body]
    if len(given) > limits.records:
        raise Refusal(422, f"a request has at most {limits.records:,} records, not {len(given):,}", "Send it in parts.")
    records = []
    for number, one in enumerate(given):
        where = f"record {number}" if isinstance(body, list) else "the record"
        if sum(map(len, strings_in(one))) > limits.text_chars:
            raise Refusal(422, f"{where}: its texts have more than {limits.text_chars:,} characters", "Cut it up.")
        if misplaced := [name for name in _PARAMETERS if isinstance(one, dict) and name in one]:
            remedy = f"Write it into the address: ?{misplaced[0]}=…"
            raise Refusal(422, f"{where}: {misplaced[0]} is no field of a text", remedy)
        try:
            records.append(run.read(one, where))
        except UserError as mistake:
            raise of_user_error(mistake) from None
    return records
