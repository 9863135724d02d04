"""Time the playground in a headless Chromium: the first result, cold and from the cache, and an edit of ResNet-50 until its picture.

    python bench/playground.py [FOLDER] [--runs N]

FOLDER is a playground that is built already. Medians, in seconds, with the load of the machine, which they depend on.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from playwright.sync_api import Page, sync_playwright

from archc.tests.support.playground import built, served

EDITS = """async runs => {
  const port = document.querySelector('#port'), times = [];
  for (let run = 0; run < runs; run++) {
    const begin = performance.now();
    const drawn = new Promise(resolve => {
      new MutationObserver((_, seen) => { seen.disconnect(); resolve(); }).observe(port, { childList: true });
    });
    const field = document.querySelector('#set-classes');
    field.value = String(500 + run);
    field.dispatchEvent(new Event('input'));
    await drawn;
    times.push((performance.now() - begin) / 1000);
    await new Promise(resolve => setTimeout(resolve, 600));
  }
  return times;
}"""


def first(page: Page, address: str) -> float:
    """Return the seconds from opening the page to its first checked text."""
    begin = perf_counter()
    page.goto(address)
    page.wait_for_selector("body[data-checked]", timeout=300_000)
    return perf_counter() - begin


def main() -> int:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    browser = os.environ.get("ARCHC_BROWSER") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as room, sync_playwright() as play:
        folder = given.folder or built(Path(room) / "dist")
        with served(folder) as address:
            cold: list[float] = []
            cached: list[float] = []
            edits: list[float] = []
            for run in range(given.runs):
                context = play.chromium.launch_persistent_context(
                    str(Path(room) / f"profile{run}"),
                    executable_path=browser,
                    args=["--no-sandbox"],
                    viewport={"width": 1400, "height": 900},
                )
                page = context.new_page()
                cold.append(first(page, address))
                page.close()
                page = context.new_page()
                cached.append(first(page, f"{address}#example=resnet50"))
                page.wait_for_selector("#set-classes")
                edits += page.evaluate(EDITS, 10 if run == 0 else 0)
                context.close()
    load = os.getloadavg()[0]
    print(f"first result: {median(cold):.2f} s cold, {median(cached):.2f} s from the cache; {given.runs} runs")
    print(f"ResNet-50, a setting to the picture: {1000 * median(edits):.0f} ms, median of {len(edits)}")
    print(f"load of the machine {load:.1f}, on {os.cpu_count()} processors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
