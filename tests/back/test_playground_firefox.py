"""The main path of the playground in Debian's Firefox, without a window: see the error, take the repair, see the picture, type."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from archc.tests.support.marionette import CONTROL, started
from archc.tests.support.playground import built, served

BROWSER = os.environ.get("ARCHC_FIREFOX") or next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no Firefox here (Debian's firefox-esr)"),
    pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm here"),
]
WRONG = "input 3x32x32\nconv3-16(pad=1)\nrelu_\nfc-10\n"
DROP = """
const data = new DataTransfer();
data.items.add(new File([arguments[0]], "mine.arch", { type: "text/plain" }));
document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
"""


def test_the_main_path(tmp_path: Path) -> None:
    assert BROWSER is not None
    given = os.environ.get("ARCHC_PLAYGROUND")  # one that is built already
    folder = Path(given) if given else built(tmp_path / "dist")
    profile = tmp_path / "profile"
    profile.mkdir()
    with served(folder) as address, started(BROWSER, profile) as firefox:
        firefox.command("WebDriver:Navigate", url=address)
        firefox.wait("document.body.dataset.checked", 120)
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
