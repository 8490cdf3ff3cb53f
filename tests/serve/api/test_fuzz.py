"""Every route of the OpenAPI document, asked by a fuzzer, with a key and without: no failure, no leak, as described."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS, load_all_checks

from bowerbird.serve.engine import Engine
from bowerbird.serve.traffic import Rates
from serve.api.fakes import closed_over

load_all_checks()
AS_DESCRIBED = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "unsupported_method",
    ]
)
NO_LIMIT = Rates(per_second=1e6, burst=1e6)
PATHS = re.compile(r"/(home|root|tmp|usr|srv|var|etc|opt|work|src)/|site-packages|Traceback|\.py\b|\.sqlite")


class Later:
    """An engine that is there when the tests run: the document, which is needed before, does not depend on it."""

    engine: Engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


LATER = Later()
DOOR = closed_over(
    LATER, hosts=None, access={"per_key": NO_LIMIT, "per_address": NO_LIMIT, "attempts": NO_LIMIT}
)


def described(*, own_keys: bool) -> Any:
    """The operations; `own_keys` = the fuzzer makes up keys of its own."""
    settings = {"deterministic": True, "with-security-parameters": own_keys}
    config = schemathesis.Config.from_dict({"generation": settings})
    return schemathesis.openapi.from_asgi("/openapi.json", DOOR.app, config=config)


with_key, without_key = described(own_keys=False), described(own_keys=True)


@pytest.fixture(autouse=True)
def _engine(engine: Engine) -> None:
    LATER.engine = engine


def no_leak(response: Any, sent: str) -> None:
    """Nothing of the machine and no secret is in a body, unless the request itself had it."""
    said = response.text
    for key in DOOR.keys.values():
        assert key.secret not in said and key.digest.hex() not in said
    for found in PATHS.finditer(said):
        assert found[0] in sent, f"{found[0]!r} in {said[:300]}"
    assert str(Path.cwd()) not in said


@with_key.parametrize()
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
def test_with_a_key(case: Any) -> None:
    response = case.call_and_validate(checks=AS_DESCRIBED, headers=DOOR.headers("every"))
    assert response.status_code not in (401, 403)
    no_leak(response, repr(case))


@without_key.parametrize()
@settings(max_examples=4, suppress_health_check=list(HealthCheck))
def test_without_a_key(case: Any) -> None:
    response = case.call_and_validate(checks=AS_DESCRIBED)
    assert case.path in ("/v1/health", "/v1/ready") or response.status_code == 401
    no_leak(response, repr(case))
