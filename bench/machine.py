"""Describe the machine that a benchmark runs on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("torch", "torchvision", "torchinfo", "networkx", "lark", "typer")


def machine() -> str:
    """Return the machine and the versions of packages, in a line each."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        facts = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        facts = {name.strip(): value.strip() for name, value in facts.items()}
        model = facts.get("model name", model)
        model += " with matrix units for bfloat16 (AMX)" if "amx_bf16" in facts.get("flags", "").split() else ""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}.\nPython {platform.python_version()}, {versions}."
