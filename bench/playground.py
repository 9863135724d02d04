"""Time the playground in a headless Chromium: the first result, cold and from the cache, and an edit of ResNet-50 until its picture.

    python bench/playground.py [FOLDER ...] [--runs N] [--out FILE.json]

FOLDER is a playground that is built already; several are timed in turn, so that all meet the same load. Medians: seconds on the clock,
which depend on the load of the machine, and seconds of processors that Chromium has used, which do so far less; and the fastest run, which
met the least load. For comparison, each run also starts Pyodide alone, without archc. `--out` writes what docs/benchmarks.md is made of,
of the first folder.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

from playwright.sync_api import BrowserType, sync_playwright

from archc.bench.machine import machine
from archc.tests.support.playground import built, served

EDITS = 20
WHAT = {
    "cold": "first result, cold",
    "cached": "first result, from the cache",
    "Pyodide alone": "Pyodide alone",
    "edit": "ResNet-50, a setting to its picture",
}
GOALS = {"cold": 6.0, "cached": 3.0, "edit": 0.15}  # seconds on the clock
EDIT = """async run => {
  const port = document.querySelector('#port'), field = document.querySelector('#set-classes');
  const begin = performance.now();
  const drawn = new Promise(resolve => {
    new MutationObserver((_, seen) => { seen.disconnect(); resolve(); }).observe(port, { childList: true });
  });
  field.value = String(500 + run);
  field.dispatchEvent(new Event('input'));
  await drawn;
  const taken = (performance.now() - begin) / 1000;
  await new Promise(resolve => setTimeout(resolve, 250)); // less than the page waits before it seeks repairs
  return taken;
}"""
PYODIDE = """async () => {
  const { loadPyodide } = await import('/pyodide/pyodide.mjs');
  await loadPyodide({ indexURL: '/pyodide/' });
}"""
TICKS = os.sysconf("SC_CLK_TCK")

Taken = tuple[float, float]  # seconds on the clock, and of processors


def used() -> float:
    """Return the seconds of processors that the processes below this one, which run, have used."""
    below: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        below[int(fields[1])].append((int(place.name), (int(fields[11]) + int(fields[12])) / TICKS))
    total, waiting = 0.0, [os.getpid()]
    while waiting:
        for pid, seconds in below[waiting.pop()]:
            total += seconds
            waiting.append(pid)
    return total


def timed(action: Callable[[], object]) -> Taken:
    """Return what an action takes."""
    before, begin = used(), perf_counter()
    action()
    return perf_counter() - begin, used() - before


def named(chromium: BrowserType) -> str:
    """Return the name and the version of the browser."""
    started = chromium.launch(executable_path=os.environ.get("ARCHC_BROWSER") or shutil.which("chromium"), args=["--no-sandbox"])
    found = f"Chromium {started.version}"
    started.close()
    return found


def run(chromium: BrowserType, address: str, profile: Path, found: dict[str, list[Taken]]) -> None:
    """Time everything once, in a profile of its own. A page is closed before the next is timed, whose process would share its memory."""
    context = chromium.launch_persistent_context(
        str(profile),
        executable_path=os.environ.get("ARCHC_BROWSER") or shutil.which("chromium"),
        args=["--no-sandbox"],
        viewport={"width": 1400, "height": 900},
    )
    context.set_default_timeout(300_000)
    blank = context.new_page()
    for what in ("cold", "cached"):
        page = context.new_page()

        def first(page=page) -> None:  # type: ignore[no-untyped-def]
            page.goto(address)
            page.wait_for_selector("body[data-checked]")

        found[what].append(timed(first))
        page.wait_for_selector("body[data-mended]")
        page.close()
        blank.wait_for_timeout(2500)
    page = context.new_page()
    page.goto(f"{address}#example=resnet50")
    page.wait_for_selector("body[data-warm]")  # it has imported completion and rehearsed edits, for which nobody waits
    page.wait_for_timeout(1000)
    before = used()
    times = [page.evaluate(EDIT, number) for number in range(EDITS)]
    processors = (used() - before) / EDITS
    found["edit"] += [(each, processors) for each in times]
    page.close()
    page = context.new_page()
    page.goto(f"{address}pyodide/pyodide-lock.json")
    found["Pyodide alone"].append(timed(lambda: page.evaluate(PYODIDE)))
    context.close()


def main() -> int:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    loads = []
    with tempfile.TemporaryDirectory() as room, sync_playwright() as play:
        browser = named(play.chromium)
        folders = given.folders or [built(Path(room) / "dist")]
        found: dict[Path, dict[str, list[Taken]]] = {folder: defaultdict(list) for folder in folders}
        for number in range(given.runs):
            loads.append(os.getloadavg()[0])
            for at, folder in enumerate(folders):
                with served(folder) as address:
                    run(play.chromium, address, Path(room) / f"profile{number}-{at}", found[folder])
    for folder, taken in found.items():
        print(f"{folder}: medians of {given.runs} runs, and the fastest")
        for what, label in WHAT.items():
            clock, processors = (median(each[at] for each in taken[what]) for at in (0, 1))
            print(f"  {label}: {clock:.3f} s, {processors:.3f} s of processors; {min(taken[what])[0]:.3f} s")
    print(f"load of the machine from {min(loads):.1f} to {max(loads):.1f}, on {os.cpu_count()} processors")
    if given.out:
        measured = {"machine": machine(), "browser": browser, "loads": loads, "taken": found[folders[0]]}
        given.out.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
