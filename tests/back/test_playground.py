"""The playground in a headless Chromium: type, see the error, take the repair, see the picture, open a block, share, reload, export."""

from __future__ import annotations

import json
import re
import threading
from base64 import b64decode
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import onnx
import pytest
from playwright.sync_api import BrowserContext, Page

from archc.tests.support import ROOT
from archc.tests.support.chromium import BLOCKS, LOADED, NEEDED, opened, text_of, write
from archc.tests.support.chromium import address as address
from archc.tests.support.chromium import context as context
from archc.tests.support.chromium import folder as folder
from archc.tests.support.chromium import one as one
from archc.ui.playground.server import Playground
from archc.ui.playground.session import Session

pytestmark = NEEDED
WRONG = "input 3x32x32\nconv3-16(pad=1)\nrelu_\nfc-10\n"


def test_the_main_path(context: BrowserContext, address: str) -> None:
    page, said, requested = opened(context, address)
    write(page, WRONG)
    assert page.inner_text("#verdict") == "1 error"
    assert "E0201" in page.inner_text("#problems")
    assert page.locator(".cm-lintRange-error").count() == 1
    page.click(".repair >> nth=0")
    page.wait_for_selector("#verdict.good")
    assert text_of(page) == WRONG.replace("relu_", "relu")
    assert "164,298 parameters" in page.inner_text("#verdict")
    assert page.locator('#port g[data-family="convolution"]').count() == 1
    shapes = page.eval_on_selector_all(".shape", "all => all.map(each => each.textContent)")
    assert shapes == ["3x32x32", "16x32x32", "16x32x32", "10"]

    write(page, BLOCKS)
    page.select_option("#depth", "0")
    page.wait_for_selector('#port g[data-name="c"].block')
    page.click('#port g[data-name="c"]')
    page.wait_for_selector('#port g[data-name="c.conv1"], #port g[data-name="c.conv"]')
    assert page.inner_text("div.cm-activeLine").startswith("c: unit(16)"), "the cursor goes to the line of the box"

    page.click("#share")
    page.wait_for_url("**#t=*")
    link = page.evaluate("location.href")
    assert "#t=" in link
    again, complaints, _ = opened(context, link)
    assert text_of(again) == BLOCKS
    again.close()
    page.evaluate("history.replaceState(null, '', location.pathname)")
    page.reload()
    page.wait_for_selector("body[data-checked]", timeout=LOADED)
    assert text_of(page) == BLOCKS, "the browser keeps the text"

    with page.expect_download() as download:
        page.select_option("#export", "svg")
    drawn = Path(download.value.path()).read_text(encoding="utf-8")
    assert download.value.suggested_filename == "lenet5_modern.svg"
    assert 'data-family="block"' in drawn
    page.close()
    assert said == complaints == []
    assert {url.partition("#")[0].startswith((address, "blob:" + address, "data:")) for url in requested} == {True}


def test_the_first_picture_and_text_are_there_without_a_script(folder: Path) -> None:
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "input 1x32x32" in page
    assert 'data-family="convolution"' in page
    assert "<style" not in page
    assert re.findall(r"<script[^>]*>", page) == ['<script type="module" src="main.js">']
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-" in policy[1]
    assert "unsafe" not in policy[1].replace("style-src-attr 'unsafe-inline'", ""), (
        "the editor sets styles of its elements; nothing else may"
    )


EXPORTS = [
    ("dot", "digraph"),
    ("tex", "tikzpicture"),
    ("mermaid", "flowchart"),
    ("csv", "depth,name"),
    ("md", "| name"),
    ("summary.tex", "toprule"),
    ("arch", "conv3-8"),
    ("py", "import torch.nn.functional as F"),
]


@pytest.mark.parametrize(("form", "part"), EXPORTS)
def test_exports_of_text(one: Page, form: str, part: str) -> None:
    if "unit(16)" not in text_of(one):
        write(one, BLOCKS)
    with one.expect_download() as download:
        one.select_option("#export", form)
    assert part in Path(download.value.path()).read_text(encoding="utf-8")


def test_onnx_without_weights_is_exported(one: Page) -> None:
    write(one, BLOCKS)
    with one.expect_download(timeout=LOADED) as download:
        one.select_option("#export", "onnx")
    assert download.value.suggested_filename.endswith(".onnx")
    made = Path(download.value.path()).read_bytes()
    asked = {"op": "export", "form": "onnx", "text": BLOCKS, "name": download.value.suggested_filename.replace(".onnx", ".arch")}
    assert made == b64decode(json.loads(Session().answer(json.dumps(asked)))["base64"]), "what numpy and onnx write"
    assert len(onnx.load_from_string(made).graph.input) == 1 + 6


def test_a_png_is_exported(one: Page) -> None:
    with one.expect_download() as download:
        one.select_option("#export", "png")
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_the_tabs(one: Page) -> None:
    write(one, BLOCKS)
    one.click("#tab-summary")
    one.wait_for_selector("#summary-table")
    one.click("#summary-table thead button >> text=parameters")
    counts = one.eval_on_selector_all(
        "#summary-table tbody tr td:nth-child(5)", "all => all.map(each => Number(each.textContent.replaceAll(',', '')))"
    )
    assert counts == sorted(counts, reverse=True)
    assert max(counts) > 0
    one.click("#tab-expanded")
    one.wait_for_selector('[data-view="expanded"] pre')
    assert "conv3-16/1(pad=1" in one.inner_text('[data-view="expanded"]')
    one.click("#tab-difference")
    one.wait_for_selector('[data-view="difference"] pre')
    one.click("#tab-explanation")
    one.wait_for_selector('[data-view="explanation"] > *')
    one.click(".cm-line >> nth=1", position={"x": 40, "y": 8})
    one.mouse.move(700, 5)
    one.wait_for_selector('[data-view="explanation"] dt', timeout=LOADED)
    assert "(32 + 2*1 - 3)/1 + 1 = 32" in one.inner_text('[data-view="explanation"]')
    one.click("#tab-reference")
    one.fill("#find-operator", "maxpool")
    one.wait_for_selector("#pages h2 >> text=maxpool")
    one.click("#tab-picture")


def test_parameters_and_inputs_are_set_without_a_change_of_the_text(one: Page) -> None:
    text = 'arch small(width=8) "a test"\ninput 3x32x32\nconv3-{width}(pad=1)\nexpect params == 224\n'
    write(one, text)
    assert "1 of 1 claims hold" in one.inner_text("#verdict")
    one.locator('input[type="range"]').fill("16")
    one.wait_for_selector("#verdict >> text=448 parameters")
    assert one.input_value("#set-width") == "16"
    one.fill("#set-input", "3x16x16")
    one.wait_for_selector("#verdict >> text=output 16x16x16")
    assert text_of(one) == text
    one.click("#as-written")
    one.wait_for_selector("#verdict >> text=224 parameters")


def test_completion_and_hover(one: Page) -> None:
    write(one, "input 3x32x32\nconv3-16(pad=1)\nmaxp")
    one.keyboard.press("Control+Space")
    one.wait_for_selector(".cm-tooltip-autocomplete", timeout=LOADED)
    assert "maxpool" in one.inner_text(".cm-tooltip-autocomplete")
    one.keyboard.press("Escape")
    one.hover(".cm-line >> nth=1", position={"x": 15, "y": 8})
    one.wait_for_selector(".hover")
    assert "448 parameters" in one.inner_text(".hover") or "16x32x32" in one.inner_text(".hover")
    one.mouse.move(5, 5)


def test_the_keyboard_opens_a_block_and_moves_between_tabs(one: Page) -> None:
    write(one, BLOCKS)
    one.select_option("#depth", "0")
    one.wait_for_selector('#port g[data-name="c"][aria-label^="open block"]')
    one.focus('#port g[data-name="c"]')
    one.keyboard.press("Enter")
    one.wait_for_selector('#port g.cluster[data-name="c"]')
    one.focus("#tab-picture")
    one.keyboard.press("ArrowRight")
    one.wait_for_selector("#summary-table")
    one.keyboard.press("ArrowLeft")
    assert one.get_attribute("#tab-picture", "aria-selected") == "true"
    one.select_option("#depth", "")


HOSTILE = """\
arch x "</text><script>alert(1)</script><img src=x onerror=alert(2)>"
input 3x8x8
a: conv3-4  # <script>alert(3)</script> javascript:alert(4)
"<svg onload=alert(5)>"
"""


def test_hostile_texts_stay_text(context: BrowserContext, address: str) -> None:
    page, said, requested = opened(context, address)
    for text in (HOSTILE, HOSTILE.rpartition('"<svg')[0]):
        write(page, text)
        for view in ("summary", "expanded", "difference", "explanation", "picture"):
            page.click(f"#tab-{view}")
            page.wait_for_selector(f'[data-view="{view}"] > *')
    assert page.locator("script").count() == 1
    assert (
        page.locator("img:not(.cm-widgetBuffer), iframe, object, embed, #port a, #port script, #port style, [onload], [onerror]").count()
        == 0
    )
    assert not [url for url in requested if not url.startswith((address, "data:", "blob:"))]
    page.close()
    assert said == []


def test_a_picture_that_is_no_picture_is_taken_apart(context: BrowserContext, address: str) -> None:
    """What an engine could be made to draw: only shapes and texts are copied, whatever else there is."""
    page, said, _ = opened(context, address)
    assert page.evaluate(
        """async () => {
          const port = document.createElement('div');
          const spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"';
          const svg = `<svg ${spaces} onload="window.bad = 1" viewBox="0 0 1 1">
            <script>window.bad = 1</script><style>* { color: red }</style><a xlink:href="javascript:window.bad=1"><text>t</text></a>
            <g onclick="window.bad = 1" style="x" id="a"><foreignObject><p xmlns="http://www.w3.org/1999/xhtml">x</p></foreignObject><text>hi</text></g></svg>`;
          archcPicture.show({ svg, boxes: {} }, true);
          const shown = document.querySelector('#port svg').outerHTML;
          return [window.bad === undefined, /script|style>|onclick|onload|javascript|foreign|href/.test(shown), shown.includes('hi')];
        }"""
    ) == [True, False, True]  # fmt: skip
    page.close()
    assert len(said) == 1
    assert "inline style violates the following Content Security Policy" in said[0], said


@pytest.mark.parametrize("fragment", ["t=%3Cscript%3E", "t=AAAA", "example=<img>", "t="])
def test_a_wrong_link_is_refused(context: BrowserContext, address: str, fragment: str) -> None:
    page, said, _ = opened(context, f"{address}#{fragment}")
    assert page.locator(".cm-line").count() > 0
    page.close()
    assert said == []


PASTE = """text => {
  const data = new DataTransfer();
  data.setData("text/plain", text);
  const pasted = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
  document.querySelector(".cm-content").dispatchEvent(pasted);
}"""


def paste(page: Page, text: str) -> None:
    """Replace the text by pasting: a browser takes minutes to insert thousands of lines as if they were typed."""
    page.click(".cm-content")
    page.keyboard.press("Control+a")
    page.evaluate(PASTE, text)


def test_a_runaway_file_is_stopped_and_typing_goes_on(context: BrowserContext, address: str) -> None:
    page, said, _ = opened(context, f"{address}#limit=500")
    heavy = "input 3x64x64\n" + "".join(f"c{i}: conv3-8(pad=1); bn; relu\n" for i in range(6000))
    paste(page, heavy)
    page.wait_for_selector("#verdict >> text=stopped", timeout=LOADED)
    paste(page, "input 3x8x8\nconv3-4\n")
    page.wait_for_selector("#verdict >> text=112 parameters", timeout=LOADED)
    page.close()
    assert said == []


def test_a_picture_of_thousands_of_boxes_is_refused_and_the_numbers_are_there(context: BrowserContext, address: str) -> None:
    page, said, _ = opened(context, f"{address}#limit=60000")
    paste(page, "input 3x8x8\n" + "".join(f"c{i}: conv3-8(pad=1)\n" for i in range(1600)))
    page.wait_for_selector("#port >> text=the picture has 1,602 boxes", timeout=LOADED)
    assert page.locator("#port svg").count() == 0, "a picture of an earlier text would be taken for that of this one"
    page.click("#tab-summary")
    page.wait_for_selector("#summary-table caption >> text=parameters")
    page.close()
    assert said == []


def test_a_file_is_opened_by_dropping_it(one: Page) -> None:
    one.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(["input 1x4x4\\nfc-3\\n"], "mine.arch", { type: "text/plain" }));
          document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        }"""
    )
    one.wait_for_selector("#verdict >> text=51 parameters")
    assert one.title().startswith("mine")


def test_an_example_against_another(context: BrowserContext, address: str) -> None:
    page, said, _ = opened(context, f"{address}#example=vgg16_gap&against=vgg16")
    page.wait_for_selector('[data-view="difference"] pre')
    assert "15,227,688" in page.inner_text("#verdict")
    assert "fc" in page.inner_text('[data-view="difference"]')
    page.close()
    assert said == []


def test_an_embedded_network_has_a_picture_and_no_editor(context: BrowserContext, address: str) -> None:
    page, said, _ = opened(context, f"{address}#example=lenet5&embed")
    page.wait_for_selector("#verdict >> text=60,000 parameters")
    assert page.is_hidden(".cm-editor")
    assert page.is_visible("#port svg")
    assert page.get_attribute("#full", "href") == "./#example=lenet5"
    page.close()
    assert said == []


def test_an_embedded_text_can_be_changed_and_is_not_kept(context: BrowserContext, address: str) -> None:
    spec = spec_from_file_location("archc_site_links", ROOT / "docs/site/links.py")
    assert spec is not None and spec.loader is not None
    links = module_from_spec(spec)
    spec.loader.exec_module(links)
    page, said, _ = opened(context, f"{address}#{links.fragment(BLOCKS, 'blocks')}&embed=edit")
    before = page.evaluate("localStorage.getItem('archc.playground')")
    assert page.is_visible(".cm-editor") and page.is_visible("#port svg") and page.is_hidden("header")
    assert text_of(page) == BLOCKS
    write(page, BLOCKS.replace("unit(16)", "unit(24)"))
    assert page.evaluate("localStorage.getItem('archc.playground')") == before
    page.wait_for_selector('#full[href^="./#t="]')
    again, complaints, _ = opened(context, address + str(page.get_attribute("#full", "href"))[2:])
    assert text_of(again) == BLOCKS.replace("unit(16)", "unit(24)")
    again.close()
    page.close()
    assert said == complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "embedded"), [(1400, False), (390, False), (1400, True), (390, True)])
def test_axe_finds_nothing(context: BrowserContext, address: str, scheme: str, width: int, embedded: bool) -> None:
    page, said, _ = opened(context, f"{address}#example=resnet18{'&embed' * embedded}")
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 900})
    source = (ROOT / "playground/node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
    session = page.context.new_cdp_session(page)
    session.send("Page.setBypassCSP", {"enabled": True})
    session.send("Runtime.evaluate", {"expression": source})
    found = []
    for view in ("picture",) if embedded else ("picture", "summary", "explanation", "reference"):
        if width < 800 and not embedded:
            page.click("#show-result")
        if not embedded:
            page.click(f"#tab-{view}")
        page.wait_for_selector(f'[data-view="{view}"] > *')
        ran = session.send(
            "Runtime.evaluate",
            {"expression": "axe.run().then(r => JSON.stringify(r.violations))", "awaitPromise": True, "returnByValue": True},
        )
        found += [
            (view, each["id"], [node["html"][:160] + " " + node.get("failureSummary", "")[:200] for node in each["nodes"][:3]])
            for each in json.loads(ran["result"]["value"])
        ]
    page.close()
    assert found == []
    assert said == []


def test_print_shows_the_picture_alone(one: Page) -> None:
    one.click("#tab-picture")
    one.emulate_media(media="print")
    shown = [one.is_visible(each) for each in ("#port svg", "header", "#left", ".tools")]
    one.emulate_media(media="screen")
    assert shown == [True, False, False, False]


def test_a_file_on_disk_beside_the_page(context: BrowserContext, folder: Path, tmp_path: Path) -> None:
    """The page as `archc serve` serves it, whose policy holds for the worker too."""
    file = tmp_path / "mine.arch"
    file.write_text("input 1x4x4\nfc-3\n", encoding="utf-8")
    with Playground(folder, file) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        page, said, _ = opened(context, server.url)
        page.wait_for_selector("#verdict >> text=51 parameters")
        page.click(".cm-content")
        page.keyboard.press("Control+Home")
        page.keyboard.insert_text("# saved\n")
        page.keyboard.press("Control+s")
        page.wait_for_selector("#verdict >> text=saved mine.arch")
        assert file.read_text(encoding="utf-8") == "# saved\ninput 1x4x4\nfc-3\n"
        file.write_text("input 1x4x4\nfc-4\n", encoding="utf-8")
        page.wait_for_selector("#verdict >> text=68 parameters")
        page.keyboard.insert_text("# here\n")
        file.write_text("input 1x4x4\nfc-5\n", encoding="utf-8")
        page.wait_for_selector("#verdict >> text=has changed on disk, and here")
        page.keyboard.press("Control+s")
        page.wait_for_selector("#verdict >> text=was not overwritten")
        assert file.read_text(encoding="utf-8") == "input 1x4x4\nfc-5\n"
        page.close()
        server.shutdown()
        thread.join()
    assert [each for each in said if "412" not in each] == []
