"""Requests made from the API's own description: nothing breaks, every answer fits it, every refusal says why.

schemathesis runs as its users run it, in a process of its own, against a server on each engine: examples, values at
every edge, random ones, and chains in which one answer feeds the next request.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import SystemRandom

from tests.faults.conftest import Figures, Size
from tests.house.conftest import ROOT
from tests.world import World

ADMIN = "an-admin-key-from-outside-that-nobody-can-revoke"
WAITS_FOR_NEWS = "/api/stream"  # its answer does not end; test_stream.py, here and in tests/spec, is about it
PHASES = ("Examples", "Coverage", "Fuzzing", "Stateful")
COMMAND = "from schemathesis.cli import schemathesis; schemathesis()"


def fuzzed(world: World, folder: Path, number: int, examples: int) -> subprocess.CompletedProcess[str]:
    """One run of schemathesis, in all of its phases."""
    keys = {"admin": ADMIN, "nobody": "", "operator": world.ada.key, "viewer": world.vera.key}
    keys |= {"monitoring": world.probe.key, "partner": world.acme.key}
    options = {
        "--exclude-path": WAITS_FOR_NEWS,
        # What is removed stays in the list, and what one role has made another may not see: docs/keys-and-roles.md.
        "--exclude-checks": "use_after_free,ensure_resource_availability",
        "--seed": str(number),
        "--generation-database": "none",
        "--generation-allow-x00": "false",
        "--generation-with-security-parameters": "false",
        "--warnings": "off",
        "--request-timeout": "60",
    }
    (folder / "schemathesis.toml").write_text(
        f"[phases.fuzzing.generation]\nmax-examples = {examples}\n"
        f"[phases.stateful.generation]\nmax-examples = {6 * examples}\n"
    )
    chosen = [part for option in options.items() for part in option]
    command = [sys.executable, "-c", COMMAND, "run", f"http://127.0.0.1:{world.port}/openapi.json", *chosen]
    hooks = {"SCHEMATHESIS_HOOKS": "tests.faults.openapi_hooks", "PYTHONPATH": str(ROOT), "FUZZ_KEYS": json.dumps(keys)}
    environment = {**os.environ, **hooks, "NO_COLOR": "1"}
    return subprocess.run(
        [*command, "--continue-on-failure"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_requests_made_from_the_description(world: World, tmp_path: Path, size: Size, figures: Figures) -> None:
    world.restarts(rate_limit=0, api_key=ADMIN)
    number = size(1, SystemRandom().getrandbits(32))
    # How many requests come of an example depends on the seed: of 450 each, once 19,066 and once more than 20,000.
    done = fuzzed(world, tmp_path, number, size(10, 600))
    seen = Counter(line["status"] for line in world.log.events("request"))
    assert done.returncode == 0, f"seed {number}\n{done.stdout}\n{done.stderr}"
    assert [each for each in PHASES if f"✅  {each}" not in done.stdout] == [], done.stdout
    assert [status for status in seen if status >= 500] == [], seen
    total = seen.total()
    assert total >= size(2_000, 20_000), seen
    good = sum(count for status, count in seen.items() if status < 300)
    assert good >= total / 20, f"hardly anything gets past the door: {seen}"
    figures(
        "requests made from /openapi.json: examples, edges, random ones, chains",
        f"{total} requests, {good} of them granted; 0 × 5xx, every answer as described, every refusal a problem+json",
    )
