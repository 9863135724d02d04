"""Work that does not end in time, for processes that import it by its name; pytest's own name of a test module depends on the folder."""

from __future__ import annotations

import time
from typing import Any


def sleeping(item: dict[str, Any], device: str) -> dict[str, Any]:
    """Return an item after ten minutes."""
    time.sleep(600)
    return item
