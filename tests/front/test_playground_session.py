"""What the page of the playground asks, without a browser: every request is answered, and what is wrong is data."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from archc.tests.support import ROOT
from archc.ui.playground.session import Session

pytestmark = pytest.mark.thorough  # `make test` runs it, and `make check` does not

TEXT = """\
block unit(w) {
  conv3-{w}(pad=1); relu
}
arch small(width=8) "a test"
input 3x32x32
a: unit(width)
fc-10
expect params == 82154
"""


def ask(session: Session, op: str, **arguments: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(session.answer(json.dumps({"op": op, **arguments})))
    return found


@pytest.fixture(scope="module")
def session() -> Session:
    made = Session()
    assert ask(made, "check", text=TEXT, name="small.arch")["ok"]
    return made


def test_a_check_has_all_that_the_page_shows_at_once(session: Session) -> None:
    found = ask(session, "check", text=TEXT, name="small.arch", picture={"depth": 0})
    assert (found["params"], found["outputs"], found["claims"], found["diagnostics"]) == (82_154, {"output": "10"}, 1, [])
    assert found["parameters"] == [{"name": "width", "default": "8", "value": "8"}]
    assert found["inputs"] == [{"key": "", "name": "input", "shape": "3x32x32", "set": ""}]
    line = TEXT.index("fc-10") + len("fc-10")
    assert {"at": line, "text": "10"} in found["hints"]
    box = found["picture"]["boxes"]["a"]
    assert box["state"] == "closed"
    assert TEXT[slice(*box["at"])] == "unit(width)"
    assert "<style" not in found["picture"]["svg"]
    assert [found["picture"]["table"][1][0], found["picture"]["table"][1][3]] == ["a", "flatten1"]


def test_settings_change_the_numbers_and_waive_the_claims(session: Session) -> None:
    found = ask(session, "check", text=TEXT, settings={"width": "4"}, inputs={"": "3x16x16"})
    assert (found["params"], found["waived"], found["parameters"][0]["value"]) == (10_362, 1, "4")
    wrong = ask(session, "check", text=TEXT, settings={"width": "(("})
    assert "E01" in wrong["error"]


def test_the_parameters_of_an_instance_are_those_of_its_base(session: Session) -> None:
    text = (ROOT / "archs/resnet50.arch").read_text(encoding="utf-8")
    found = ask(session, "check", text=text)
    assert {each["name"]: each["default"] for each in found["parameters"]} == {
        "unit": "bottleneck",
        "depths": "[3, 4, 6, 3]",
        "classes": "1000",
    }


def test_errors_have_repairs_that_work(session: Session) -> None:
    text = TEXT.replace("relu", "relu_")
    found = ask(session, "check", text=text, picture={})
    assert not found["ok"] and not found["picture"]["whole"]
    (error,) = [each for each in ask(session, "mend", text=text)["diagnostics"] if each["severity"] == "error"]
    (edit,) = error["repairs"][0]["edits"]
    mended = text[: edit["at"][0]] + edit["text"] + text[edit["at"][1] :]
    assert ask(session, "check", text=mended)["ok"]


def test_places_count_in_utf_16(session: Session) -> None:
    text = "# 🧠 first\ninput 3x8x8\nrelu_\n"
    (error,) = ask(session, "check", text=text)["diagnostics"]
    assert text.encode("utf-16-le")[2 * error["at"][0] : 2 * error["at"][1]].decode("utf-16-le") == "relu_"


@pytest.mark.parametrize(
    ("op", "arguments", "key"),
    [("summary", {}, "rows"), ("expanded", {}, "text"), ("diff", {"first": TEXT.replace("fc-10", "fc-9").replace("expect", "# ")}, "text"),
     ("explain", {"at": TEXT.index("fc-10") + 1}, "steps"), ("format", {}, "text"), ("export", {"form": "mermaid"}, "text"),
     ("export", {"form": "csv"}, "text"), ("picture", {"style": "paper"}, "svg"), ("hover", {"at": TEXT.index("conv3")}, "markdown"),
     ("complete", {"at": len(TEXT)}, "items")],
)  # fmt: skip
def test_every_request_is_answered(session: Session, op: str, arguments: dict[str, Any], key: str) -> None:
    found = ask(session, op, text=TEXT, **arguments)
    assert "error" not in found
    assert found[key]


def test_a_rehearsal_leaves_the_open_text_alone(session: Session) -> None:
    ask(session, "check", text=TEXT, name="small.arch")
    assert ask(session, "rehearse", text=TEXT.replace("fc-10", "fc-9"), picture={}) == {"ok": False}  # its claim fails
    assert ask(session, "summary")["params"] == 82_154


@pytest.mark.parametrize("op", ["summary", "expanded", "diff", "explain", "export"])
def test_what_a_wrong_text_does_not_have_is_said(session: Session, op: str) -> None:
    found = ask(session, op, text="input 3x8x8\nnonsense\n", first=TEXT, at=14, node="x", form="csv")
    assert "E0201" in found["error"]


def test_a_session_needs_neither_a_terminal_nor_graphviz() -> None:
    heavy = {"rich", "typer", "pygments", "pygraphviz", "lsprotocol", "pygls", "numpy", "torch"}
    code = f"import sys, archc.ui.playground.session; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout == "[]\n"
