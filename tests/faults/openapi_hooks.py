"""What schemathesis is told about Tocsin: whose keys to use, what not to touch, and what no schema can say.

It is loaded by the `schemathesis` command that `test_openapi.py` starts. `FUZZ_KEYS` in the environment holds a key for
each role, as JSON.
"""

import json
import os
from itertools import cycle
from typing import Any

import schemathesis
from schemathesis.core.failures import Failure

from tocsin.kit.errors import every_problem

KEYS: dict[str, str] = json.loads(os.environ["FUZZ_KEYS"])
# Four of five requests may do anything, so that most get past the door.
ROLES = cycle([role for other in sorted(set(KEYS) - {"admin"}) for role in (*["admin"] * 4, other)])
Case = schemathesis.Case[Any]
CAST = 7  # the first keys are those of the people who ask here: they are not to be revoked
PROBLEM = "application/problem+json"
TYPES = {f"/errors/{kind.slug}": kind.status for kind in every_problem()}
# Bytes that the HTTP parser refuses never reach the application: docs/errors.md, "What is not a problem document".
NO_HTTP = b"Invalid HTTP request received."

# What fits the schema may be refused for these: they depend on more than one value, or on what is there.
BEYOND_A_SCHEMA = {
    "cursor": "comes from the answer before",
    "channel_id": "must be a channel's that is there",
    "partner": "must be there, and goes with the role or source `partner` only",
    "id": "may be a key's that is revoked",
    "key_id": "is null of the key from the environment, and a chain hands that on",
    "summary": "or a description is needed by a trigger",
    "dedup_key": "is needed by all but a trigger; its limit is in bytes",
    "config": "depends on the kind",
    "labels": "have a limit in bytes",
    "settings.mapping": "depends on the dialect",
    "settings.asset_pattern": "must be a regular expression",
    "signing_secret": "depends on the dialect",
    "If-Match": "is sent without its quotes by schemathesis, whatever the schema says",
}
# JSON Schema takes 1.0 for an integer; Tocsin does not.
FLOAT = "expected `int`, got `float`"


@schemathesis.auth(retry_on=[])  # a 401 is an answer like others, and not to be asked again with another key
class Somebody:
    """Each request is somebody's: an administrator's as a rule, now and then another's."""

    def get(self, case: Case, context: schemathesis.AuthContext) -> str:
        return "a key"

    def set(self, case: Case, data: str, context: schemathesis.AuthContext) -> None:
        case.headers["x-api-key"] = KEYS[next(ROLES)]


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Keeps a call from waiting for news, and from revoking the keys that the others need."""
    if case.query.get("wait") not in (None, "", 0):
        case.query["wait"] = 0
    key = str(case.path_parameters.get("key_id", ""))
    if case.method in ("DELETE", "POST") and key.isdigit() and 0 < int(key) <= CAST:
        case.path_parameters["key_id"] = int(key) + 1000


@schemathesis.check
def every_refusal_is_a_problem(context: schemathesis.CheckContext, response: schemathesis.Response, case: Case) -> None:
    """What is refused is told as problem+json, of a type that the docs list, with that type's status."""
    if response.status_code < 400 or response.content == NO_HTTP:
        return
    said = response.json()
    assert response.headers["content-type"] == [PROBLEM], response.headers
    assert TYPES.get(said["type"]) == said["status"] == response.status_code, said
    assert said["title"], said
    assert said["detail"], said
    assert [said["request_id"]] == response.headers["x-request-id"], said
    assert said["type"] != "/errors/invalid" or said["errors"], said


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext, failure: Failure, case: Case, response: schemathesis.Response
) -> bool:
    """False for what is no fault."""
    if "positive_data_acceptance" in failure.checks:
        return not _is_beyond_a_schema(response)
    if "negative_data_rejection" in failure.checks:
        # A bad draft must not spoil the others: its own result says what is wrong.
        return case.path != "/api/incidents/batch" or '"problem":' not in response.text
    return True


def _is_beyond_a_schema(response: schemathesis.Response) -> bool:
    if response.content == NO_HTTP:
        return True
    said = response.json()
    if said["type"] in ("/errors/version-mismatch", "/errors/idempotency-key-reused"):
        return True
    return all(_is_known(each["field"], each["message"]) for each in said.get("errors", [{"field": "", "message": ""}]))


def _is_known(field: str, message: str) -> bool:
    return message == FLOAT or any(field == name or field.startswith(f"{name}.") for name in BEYOND_A_SCHEMA)
