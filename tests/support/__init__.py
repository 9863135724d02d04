"""What the tests share: the files of `archs/`, and figures that were published. Nothing here imports torch."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ARCHS = sorted((ROOT / "archs").rglob("*.arch"))
FILES = sorted((ROOT / "archs").glob("*.arch"))  # every network
PUBLISHED: dict[str, Any] = tomllib.loads((ROOT / "tests/published.toml").read_text(encoding="utf-8"))
NETWORKS = [path for path in FILES if path.stem in PUBLISHED]  # those of the papers, which are looked at from every side

# torchvision's classifiers: parameters, and GMACs as its weights' metadata has them (0.28, `num_params` and `_ops`).
with (ROOT / "tests/zoo.tsv").open(encoding="utf-8") as table:
    ZOO = {row["name"]: row for row in csv.DictReader(table, delimiter="\t")}
