"""A thousand requests made from the description, and none of them is a defect or hangs."""

import subprocess
from collections import Counter
from collections.abc import Callable

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

pytestmark = pytest.mark.slow
Process = Callable[..., tuple[subprocess.Popen[str], str]]
ENOUGH = 1000
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance,
    response_schema_conformance,
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
def test_nothing_breaks_it(process: Process) -> None:
    _, address = process(
        "tags with rules", "a label", "a label of a pair", "a relation", "an answer", "a reply",
        overrides=("limits.text_chars=2000", "limits.records=8", "batch.wait_ms=0"),
    )  # fmt: skip
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    seen: Counter[int] = Counter()
    for operation in schema.get_all_operations():
        made = operation.ok()
        posts = made.method.upper() == "POST"
        size = 300 if posts else 20
        # Without a parameter or a body there is nothing that could be wrong.
        for mode in schemathesis.GenerationMode if posts else [schemathesis.GenerationMode.POSITIVE]:

            @settings(
                max_examples=size, deadline=None, database=None, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=made.as_strategy(generation_mode=mode))
            def sent(case: schemathesis.Case) -> None:
                response = case.call(timeout=20)
                seen[response.status_code] += 1
                case.validate_response(response, checks=CHECKS)

            sent()
    assert sum(seen.values()) >= ENOUGH, seen
    assert seen[200] > 100 and seen[422] > 100 and not any(status >= 500 for status in seen), seen
    assert httpx.get(f"{address}/health").status_code == 200
