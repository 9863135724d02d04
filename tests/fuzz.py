"""Mutates the files of archs/ under atheris, which steers by coverage. `make fuzz` runs it; it ends at the first failure.

python tests/fuzz.py -runs=20000 -max_len=64 -len_control=0 goes through 20,000 mutated files. Every check that is slower than
all before it is told. Code that atheris watches is some ten times slower, so its patience is longer.
"""

from __future__ import annotations

import sys
from time import perf_counter

import atheris

with atheris.instrument_imports(include=["archc.dsl", "archc.compiler"]):
    from archc.tests.support.mutations import TEXTS, must_hold, mutate
    from archc.tests.support.pytorch import must_lower

NAMES = sorted(TEXTS)
PATIENCE = 60.0
slowest = 1.0


def one(data: bytes) -> None:
    global slowest
    source = atheris.FuzzedDataProvider(data)

    def choose(bound: int) -> int:
        return int(source.ConsumeIntInRange(0, bound - 1))

    name = NAMES[choose(len(NAMES))]
    text = TEXTS[name]
    for _ in range(1 + choose(3)):
        text = mutate(text, choose)
    try:
        begin = perf_counter()
        report = must_hold(name, text)
        seconds = perf_counter() - begin
        if seconds > PATIENCE:
            raise TimeoutError(f"{seconds:.1f} s")
        must_lower(report)
    except BaseException:
        print(f"---- {name}\n{text}\n----", file=sys.stderr)
        raise
    if seconds > slowest:
        slowest = seconds
        print(f"slowest so far: {seconds:.2f} s, a mutation of {name}", file=sys.stderr)


atheris.Setup(sys.argv, one)
atheris.Fuzz()
