"""The playground in a headless Chromium, as it is used: by the keyboard alone, on a phone, on paper, in a lecture; and how it starts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Route

from archc.compiler.zoo import networks
from archc.tests.support import ROOT
from archc.tests.support.chromium import BLOCKS, LOADED, NEEDED, opened, text_of, write
from archc.tests.support.chromium import address as address
from archc.tests.support.chromium import context as context
from archc.tests.support.chromium import folder as folder
from archc.tests.support.chromium import one as one
from archc.tests.support.playground import served

pytestmark = NEEDED
QUESTIONS = json.loads((ROOT / "playground/src/questions.json").read_text(encoding="utf-8"))
TEXTS = [each for question in QUESTIONS for each in (question["first"], question["second"]) if "text" in each]
WIDTH = 'arch small(width=8) "a test"\ninput 3x32x32\nconv3-{width}(pad=1)\n'


# ---- how it starts


def test_python_starts_from_its_image(context: BrowserContext, address: str) -> None:
    page, said, requested = opened(context, address)
    names = {url.rpartition("/")[2] for url in requested}
    assert {"image.pack", "rest.pack"} <= names
    assert "modules.pack" not in names
    page.close()
    assert said == []


def test_python_starts_from_its_files_where_the_image_cannot_be_used(context: BrowserContext, address: str) -> None:
    def broken(route: Route) -> None:
        route.fulfill(body=b"this is no image of a memory, and it is long enough to be looked at", content_type="application/octet-stream")

    context.route("**/image.pack", broken)
    page, said, requested = opened(context, address)
    context.unroute("**/image.pack")
    assert "61,706 parameters" in page.inner_text("#verdict")
    assert any(url.endswith("modules.pack") for url in requested)
    page.close()
    assert [each for each in said if "since its image cannot be used" not in each] == []
    assert len(said) == 1


def test_what_is_published_names_no_folder_of_the_machine(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.suffix in (".js", ".json", ".html", ".css"):
            assert str(ROOT) not in path.read_text(encoding="utf-8"), path


def test_no_picture_of_another_network_is_shown_while_python_loads(context: BrowserContext, address: str) -> None:
    page = context.new_page()
    page.route("**/image.pack", lambda route: None)  # it never comes
    page.goto(f"{address}#example=resnet18")
    page.wait_for_selector("#port >> text=the picture of resnet18.arch is drawn as soon as Python is loaded")
    assert "resnet18" in text_of(page)
    assert page.locator("#port svg").count() == 0
    page.close()


# ---- what can be opened


def test_every_network_is_an_example_with_its_notes(folder: Path) -> None:
    examples = {each["name"]: each for each in json.loads((folder / "examples.json").read_text(encoding="utf-8"))}
    assert examples.keys() == {path.stem for path in networks()}
    for path in networks():
        assert examples[path.stem]["text"] == path.read_text(encoding="utf-8")
        assert examples[path.stem]["source"] and examples[path.stem]["params"] > 0


def test_questions_ask_for_what_there_is() -> None:
    names = {path.stem for path in networks()}
    template = (ROOT / "docs/arguments.md.jinja").read_text(encoding="utf-8")
    for question in QUESTIONS:
        for each in (question["first"], question["second"]):
            assert each["name"] in names or json.dumps(each["text"].rstrip())[1:-1] in template, each
    assert len({question["slug"] for question in QUESTIONS}) == len(QUESTIONS)
    assert len(TEXTS) == 4


def test_a_question_opens_two_networks_side_by_side(context: BrowserContext, address: str) -> None:
    page, said, _ = opened(context, address)
    page.click("#tab-difference")
    page.click("#questions a >> text=A bottleneck")
    page.wait_for_selector("#verdict >> text=70,400 parameters")
    page.wait_for_selector(".sides figcaption >> text=two_3x3")
    assert page.locator(".sides pre").all_inner_texts() == [each["text"] for each in TEXTS[2:]]
    page.wait_for_function("document.querySelector('[data-view=difference] > div > pre').textContent.includes('1,180,672')")
    page.click("#questions summary")
    page.click("#questions a >> text=Do the hidden layers")
    page.wait_for_selector("#verdict >> text=15,227,688 parameters")
    page.wait_for_selector(".sides figcaption >> text=vgg16_gap")
    assert page.url.endswith("#question=vgg-head")
    page.close()
    assert said == []


# ---- keyboard, picture, files


def test_by_the_keyboard_alone(context: BrowserContext, address: str) -> None:
    """Write, see the error, take the repair, leave the editor, open a block, change a parameter."""
    page, said, _ = opened(context, address)
    keys = page.keyboard

    def reach(selector: str, most: int = 60) -> None:
        for _ in range(most):
            keys.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"{selector} is not reached by Tab; {page.evaluate('document.activeElement.outerHTML.slice(0, 200)')} is")

    page.evaluate("document.activeElement.blur()")
    reach(".cm-content")
    keys.press("Control+a")
    keys.insert_text(WIDTH + "relu_\n")
    page.wait_for_selector(".repair")
    keys.press("Escape")  # and then Tab leaves the editor, where it would indent
    reach(".repair")
    keys.press("Enter")
    page.wait_for_selector("#verdict.good")
    assert text_of(page) == WIDTH + "relu\n"
    keys.press("Escape")
    reach("#set-width")
    keys.press("Control+a")
    keys.type("16")
    page.wait_for_selector("#verdict >> text=448 parameters")
    reach('#port g[data-name="conv"], #port g[data-name="conv1"]')
    keys.press("Enter")
    assert page.inner_text("div.cm-activeLine").startswith("conv3-{width}")
    page.close()
    assert said == []


def test_the_cursor_marks_its_box_and_the_picture_is_moved_and_zoomed(one: Page) -> None:
    write(one, BLOCKS)
    one.click(".cm-line >> nth=4", position={"x": 50, "y": 8})
    one.wait_for_selector('#port g.here[data-name="a"], #port g.here[data-name^="a."]')
    place = "document.querySelector('#port svg').style.transform"
    fitted = one.evaluate(place)
    one.focus("#port")
    one.keyboard.press("ArrowRight")
    moved = one.evaluate(place)
    one.keyboard.press("+")
    larger = one.evaluate(place)
    one.keyboard.press("0")
    assert len({fitted, moved, larger}) == 3
    assert one.evaluate(place) == fitted
    box = one.locator("#port").bounding_box()
    assert box is not None
    one.mouse.move(box["x"] + 50, box["y"] + 50)
    one.mouse.down()
    one.mouse.move(box["x"] + 90, box["y"] + 80)
    one.mouse.up()
    assert one.evaluate(place) != fitted
    one.click("#fit")
    assert one.evaluate(place) == fitted


def test_find_in_the_text(one: Page) -> None:
    write(one, BLOCKS)
    one.keyboard.press("Control+f")
    one.keyboard.type("unit(16)")
    one.keyboard.press("Enter")
    one.wait_for_selector(".cm-searchMatch-selected >> text=unit(16)")
    one.keyboard.press("Escape")


def test_the_text_is_saved_and_the_picture_is_a_page(one: Page) -> None:
    write(one, BLOCKS)
    with one.expect_download() as download:
        one.click("#save")
    assert Path(download.value.path()).read_text(encoding="utf-8") == BLOCKS
    with one.expect_download() as download:
        one.select_option("#export", "html")
    page = Path(download.value.path()).read_text(encoding="utf-8")
    assert page.startswith("<!") and "<svg" in page


# ---- where it is shown


def test_a_phone_reads_and_changes_parameters(context: BrowserContext, address: str) -> None:
    assert context.browser is not None
    phone = context.browser.new_context(viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True)
    phone.set_default_timeout(30_000)
    page, said, _ = opened(phone, f"{address}#example=resnet18")
    assert page.is_visible(".cm-editor") and not page.is_visible("#port")
    page.tap("#show-result")
    assert page.is_visible("#port svg") and not page.is_visible(".cm-editor")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the phone"
    page.tap("#sizes summary")
    page.fill("#set-classes", "10")
    page.wait_for_selector("#verdict >> text=11,181,642 parameters")
    page.tap("#tab-summary")
    page.wait_for_selector("#summary-table")
    page.close()
    phone.close()
    assert said == []


def test_the_picture_is_printed_as_a_pdf(one: Page) -> None:
    write(one, BLOCKS)
    made = one.pdf()
    assert made.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", made)) == 1
    assert not re.search(rb"/Subtype\s*/Image", made), "a picture of lines and letters, not of pixels"


def test_a_frame_of_a_lecture(context: BrowserContext, address: str, tmp_path: Path) -> None:
    """A page of another origin, with two networks in frames."""
    frames = "".join(f'<iframe src="{address}#example={name}&embed" width="600" height="400"></iframe>' for name in ("lenet5", "alexnet"))
    (tmp_path / "lecture.html").write_text(f'<!doctype html><link rel="icon" href="data:,">{frames}', encoding="utf-8")
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    with served(tmp_path) as lecture:
        page.goto(f"{lecture}lecture.html")
        for at, count in enumerate(("60,000", "60,965,224")):
            inside = page.frame_locator(f"iframe >> nth={at}")
            inside.locator(f"#verdict >> text={count} parameters").wait_for(timeout=LOADED)
            assert inside.locator("#port svg").is_visible()
            assert not inside.locator("header").is_visible()
        page.close()
    assert said == []


# ---- texts of others


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>.arch", "javascript:alert(1)", "../../etc/passwd", "\u202egnp.arch"])
def test_a_shared_name_is_made_harmless(context: BrowserContext, address: str, name: str) -> None:
    page, said, _ = opened(context, address)
    link = page.evaluate(
        """async value => {
          const stream = new Blob([JSON.stringify(value)]).stream().pipeThrough(new CompressionStream('deflate-raw'));
          const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
          return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
        }""",
        {"text": "input 1x4x4\nfc-3\n", "name": name, "first": "<script>alert(1)</script>", "settings": {"__proto__": "x"}, "inputs": 3},
    )
    page.evaluate("link => { location.hash = `t=${link}`; }", link)
    page.wait_for_selector("#verdict >> text=51 parameters")
    page.click("#tab-difference")
    page.wait_for_selector('[data-view="difference"] .sides')
    assert page.locator("script").count() == 1
    with page.expect_download() as download:
        page.click("#save")
    assert re.fullmatch(r"[\w.-]+", download.value.suggested_filename)
    page.close()
    assert said == []
