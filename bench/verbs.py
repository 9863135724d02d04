"""Time the verbs that report on a network or draw it, as whole processes."""

from __future__ import annotations

import json
import sys
from statistics import median

from archc.bench.processes import run

FILE = "archs/resnet152.arch"
VERBS = {
    "check": ["check", FILE],
    "summary": ["summary", FILE],
    "explain": ["explain", f"{FILE}:layer3.7.conv2"],
    "diff": ["diff", FILE, "archs/resnet152_v1.arch"],
    "draw": ["draw", FILE, "--format", "svg"],
    "draw --flat": ["draw", "archs/cifar_resnet1202.arch", "--flat", "--format", "svg"],
}
RUNS = 9
GOALS = {"summary": 0.5, "explain": 0.5, "diff": 0.5, "draw": 1.0, "draw --flat": 30.0}  # seconds


def seconds(verb: str) -> float:
    """Return the median seconds of a whole process over RUNS runs, after a warm-up."""
    times = [run([sys.executable, "cli.py", *VERBS[verb]], check=False)[0] for _ in range(RUNS + 1)]
    return median(times[1:])


def measure() -> dict[str, float]:
    """Return the seconds of every verb."""
    return {verb: seconds(verb) for verb in VERBS}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
