"""The page's side of the playground: whatever becomes of the worker, every request is settled, and typing goes on."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from archc.tests.support import ROOT

NODE = shutil.which("node")
pytestmark = [pytest.mark.thorough, pytest.mark.skipif(NODE is None, reason="there is no Node.js here")]

# What becomes of each request, how many workers there were, and how many are left.
SCENARIOS: dict[str, dict[str, Any]] = {
    "a runaway file, and the next edit": {"heavy": "Stopped", "next": "done", "workers": 2},
    "all else about a runaway file": {
        **{"heavy": "Stopped", "panel": "Superseded", "hover": "Stopped", "again": "done", "hover again": "done", "workers": 2}
    },
    "words of a worker that was stopped": {"heavy": "Stopped", "next": "done", "workers": 2},
    "a worker that fails while it answers": {"check": "Stopped", "panel": "Stopped", "next": "done", "workers": 2},
    "a worker that cannot be loaded": {"check": "Stopped", "next": "done", "workers": 2},
    "a Python that is dead": {"check": "Error", "next": "done", "workers": 2},
    "a machine that is slow to load and to import": {"check": "done", "panel": "done", "late": "Stopped", "workers": 2},
    "a hover that takes too long, once its modules are there": {"warm": "done", "hover": "Stopped", "check": "done", "workers": 2},
}


@pytest.fixture(scope="module")
def became() -> dict[str, dict[str, Any]]:
    driver, client = ROOT / "tests/support/playground_client.mjs", ROOT / "playground/src/client.js"
    assert NODE is not None
    ran = subprocess.run([NODE, str(driver), str(client)], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, dict[str, Any]] = json.loads(ran.stdout)
    return found


def test_scenarios_are_those_of_the_driver(became: dict[str, dict[str, Any]]) -> None:
    assert became.keys() == SCENARIOS.keys()


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_request_is_settled(became: dict[str, dict[str, Any]], name: str) -> None:
    assert became[name] == {**SCENARIOS[name], "left": 1}
