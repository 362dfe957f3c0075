"""The OpenAPI description of a server, with the fields of its runs' tasks."""

from typing import Any

from rag_lightning import __version__
from rag_lightning.serve.options import LimitOptions
from rag_lightning.serve.runs import ServedRun

_ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "remedy": {"type": "string"}},
    "required": ["error"],
}
_EXPLAINED = {
    "type": "object",
    "description": "with explain=true: what the rules found, and what the model read",
    "properties": {"hits": {"type": "array", "items": {"type": "object"}}, "input": {"type": "string"}},
}
_EVENT = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "enum": ["piece", "done", "error"]},
        "data": {"type": "string", "description": "JSON: {piece}, what ended it, or {error}"},
    },
}
_REFUSALS = {
    400: "no JSON",
    401: "no token, or a wrong one",
    404: "no run of that name",
    408: "the body came too slowly",
    413: "the body is too large",
    415: "the body is not declared as JSON",
    422: "not what the task reads, or too much of it",
    429: "too much waits already",
    503: "no answer in time, too many requests at a time, or the server is going down",
}


def description(runs: dict[str, ServedRun], limits: LimitOptions) -> dict[str, Any]:
    """OpenAPI 3.1."""
    tasks = {run.task.name: run for run in runs.values()}
    schemas: dict[str, Any] = {"Error": _ERROR}
    for name, run in tasks.items():
        identified = {"id": {"description": "comes back with the answer, as it is"}}
        given = {**run.input, "properties": {**identified, **run.input["properties"]}}
        answered = {**identified, **run.answer["properties"], "explained": _EXPLAINED}
        schemas[f"{name}_record"] = given
        schemas[f"{name}_answer"] = {**run.answer, "properties": answered}
    record, answer = (_any_of([f"{name}_{kind}" for name in tasks]) for kind in ("record", "answer"))
    several = {"type": "array", "items": record, "maxItems": limits.records}
    writers = [name for name, run in runs.items() if run.writes]
    paths: dict[str, Any] = {
        "/predict": {"post": _operation(
            "predict", "Answer one record, or a list of them", runs, {"anyOf": [record, several]},
            {"application/json": {"schema": {"anyOf": [answer, {"type": "array", "items": answer}]}}},
        )},
        "/runs": {"get": _read("runs", "The runs: what each reads, answers and can", "application/json", {401})},
        "/health": {"get": _read("health", "Whether the server lives, and what waits", "application/json", set())},
        "/metrics": {"get": _read("metrics", "Counters for Prometheus", "text/plain", {401})},
    }  # fmt: skip
    if writers:
        written = _any_of([f"{name}_record" for name, run in tasks.items() if run.writes])
        paths["/stream"] = {"post": _operation(
            "stream", "Write a text piece by piece: server-sent events piece, then done or error",
            {name: runs[name] for name in writers}, written, {"text/event-stream": {"schema": _EVENT}},
        )}  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {"title": "rag_lightning", "version": __version__, "description": "Finished runs in use."},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
    }


def _any_of(names: list[str]) -> dict[str, Any]:
    found = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    return found[0] if len(found) == 1 else {"anyOf": found}


def _operation(
    name: str, summary: str, runs: dict[str, ServedRun], given: dict[str, Any], answered: dict[str, Any]
) -> dict[str, Any]:
    switches = [
        ("rules", True, "false: as if the rules found nothing"),
        ("template", True, "false: the bare text, where the run can go without its template"),
        ("explain", False, "true: what the rules found and what the model read come with the answer"),
    ]
    named = {"name": "run", "in": "query", "schema": {"type": "string", "enum": list(runs)},
             "description": "which run; the first one, if it is left out"}  # fmt: skip
    return {
        "operationId": name,
        "summary": summary,
        "parameters": [named] + [
            {"name": key, "in": "query", "schema": {"type": "boolean", "default": default}, "description": told}
            for key, default, told in switches
            if (name, key) != ("stream", "explain")
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": given}}},
        "responses": {"200": {"description": "answered", "content": answered}, **_refusals(set(_REFUSALS))},
    }  # fmt: skip


def _read(name: str, summary: str, kind: str, refused: set[int]) -> dict[str, Any]:
    schema = {"type": "string"} if kind == "text/plain" else {}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {"description": "told", "content": {kind: {"schema": schema}}}, **_refusals({*refused, 503}),
        },
    }  # fmt: skip


def _refusals(statuses: set[int]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {str(status): {"description": _REFUSALS[status], "content": content} for status in sorted(statuses)}
