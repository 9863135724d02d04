"""Time `check archs/resnet152.arch` as a whole process, in pairs with a process that gets the same from torchvision and torchinfo."""

from __future__ import annotations

import json
import sys
from statistics import median
from typing import Any

from archc.bench.processes import run

OURS = [sys.executable, "cli.py", "graph", "archs/resnet152.arch", "--json"]
CHECK = [sys.executable, "cli.py", "check", "archs/resnet152.arch", "--json"]
PEER = [sys.executable, "bench/peer_torchinfo.py"]
PAIRS = 7
GOAL = 6.0


def answer(command: list[str]) -> Any:
    """Return the JSON that a command prints."""
    return json.loads(run(command)[1])


def measure(pairs: int = PAIRS) -> dict[str, Any]:
    """Return the seconds of both and their ratio, pair by pair after one warm-up. Asserts that the results agree."""
    ours, peer = answer(CHECK), answer(PEER)
    assert ours["params"] == peer["params"], (ours["params"], peer["params"])
    shapes = answer(OURS)["nodes"]
    assert len(shapes) == ours["nodes"] + 1
    times = [(run(CHECK)[0], run(PEER)[0]) for _ in range(pairs)]
    return {
        "pairs": pairs,
        "ours": median(mine for mine, _ in times),
        "peer": median(theirs for _, theirs in times),
        "ratio": median(theirs / mine for mine, theirs in times),
        "lowest": min(theirs / mine for mine, theirs in times),
        "highest": max(theirs / mine for mine, theirs in times),
        "params": ours["params"],
        "macs": ours["macs"],
        "peer_macs": peer["macs"],
        "goal": GOAL,
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
