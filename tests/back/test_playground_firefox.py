"""The main path of the playground in Debian's Firefox, without a window.

Type, see the error, take the repair, see the picture, open a block, share, reload, export.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from archc.tests.support.marionette import CONTROL, DOWNLOADS, Firefox, started
from archc.tests.support.playground import built, served

BROWSER = os.environ.get("ARCHC_FIREFOX") or next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no Firefox here (Debian's firefox-esr)"),
    pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm here"),
]
WRONG = "input 3x32x32\nconv3-16(pad=1)\nrelu_\nfc-10\n"
BLOCKS = "block unit(w) {\n  conv3-{w}(pad=1); relu\n}\ninput 3x32x32\na: unit(8)\nb: unit(8)\nc: unit(16)\n"
CHOOSE = """
const list = document.querySelector(arguments[0]);
list.value = arguments[1];
list.dispatchEvent(new Event("change", { bubbles: true }));
"""
TEXT = """
const words = line => [...line.childNodes].filter(n => !n.classList?.contains("shape")).map(n => n.textContent).join("");
return [...document.querySelectorAll(".cm-line")].map(words).join("\\n");
"""
DROP = """
const data = new DataTransfer();
data.items.add(new File([arguments[0]], "mine.arch", { type: "text/plain" }));
document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
"""


def loaded(firefox: Firefox) -> None:
    """Wait until the page has checked its first text."""
    firefox.wait("document.body?.dataset.checked", 240)


def downloaded(folder: Path, name: str) -> str:
    """Wait for a file that the browser saves; return its text."""
    end = time.monotonic() + 30
    while not (folder / name).is_file() or not (folder / name).stat().st_size or (folder / f"{name}.part").exists():
        assert time.monotonic() < end, f"{name} is not saved: {list(folder.glob('*'))}"
        time.sleep(0.1)
    return (folder / name).read_text(encoding="utf-8")


def test_the_main_path(tmp_path: Path) -> None:
    assert BROWSER is not None
    given = os.environ.get("ARCHC_PLAYGROUND")  # one that is built already
    folder = Path(given) if given else built(tmp_path / "dist")
    profile = tmp_path / "profile"
    profile.mkdir()
    with served(folder) as address, started(BROWSER, profile) as firefox:
        firefox.command("WebDriver:Navigate", url=address)
        loaded(firefox)
        firefox.run(DROP, WRONG)
        firefox.wait("document.querySelector('#verdict').innerText === '1 error'")
        assert "E0201" in firefox.text("#problems")
        firefox.wait("document.querySelector('.repair')")
        firefox.click(".repair")
        firefox.wait("document.querySelector('#verdict.good')")
        assert "164,298 parameters" in firefox.text("#verdict")
        firefox.wait("""document.querySelector('#port g[data-family="convolution"]')""")
        shapes = firefox.run("return [...document.querySelectorAll('.shape')].map(each => each.textContent)")
        assert shapes == ["3x32x32", "16x32x32", "16x32x32", "10"]
        firefox.type(".cm-content", f"{CONTROL}a")
        firefox.type(".cm-content", "input 3x8x8; fc-2")
        firefox.wait("document.querySelector('#verdict').innerText.includes('386 parameters')")
        firefox.click("#tab-summary")
        firefox.wait("document.querySelector('#summary-table')")

        firefox.click("#tab-picture")
        firefox.run(DROP, BLOCKS)
        firefox.wait("document.querySelector('#verdict').innerText.includes('1,976 parameters')")
        firefox.run(CHOOSE, "#depth", "0")
        firefox.wait("""document.querySelector('#port g.node.block[data-name="c"]')""")
        firefox.click('#port g.node.block[data-name="c"] text')
        firefox.wait("""document.querySelector('#port g[data-name^="c.conv"]')""")

        firefox.click("#share")
        firefox.wait("location.hash.startsWith('#t=')")
        link = firefox.run("return location.href")
        firefox.run("history.replaceState(null, '', location.pathname)")
        firefox.command("WebDriver:Refresh")
        loaded(firefox)
        assert firefox.run(TEXT) == BLOCKS, "the browser keeps the text"
        firefox.run("localStorage.clear()")
        firefox.command("WebDriver:Navigate", url="about:blank")
        firefox.command("WebDriver:Navigate", url=link)
        loaded(firefox)
        assert firefox.run(TEXT) == BLOCKS, "the link holds the text"

        firefox.run(CHOOSE, "#export", "svg")
        assert 'data-family="block"' in downloaded(profile / DOWNLOADS, "mine.svg") or "conv3-16" in downloaded(
            profile / DOWNLOADS, "mine.svg"
        )
        firefox.run(CHOOSE, "#export", "py")
        assert "import torch" in downloaded(profile / DOWNLOADS, "mine.py")
