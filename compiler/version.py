"""The version of archc, in one place: that of the installed package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed


def version() -> str:
    """The version; "0" where archc runs without having been installed."""
    try:
        return installed("archc")
    except PackageNotFoundError:
        return "0"
