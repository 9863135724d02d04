"""The server in a real editor: Neovim without a screen, driven by a script, with the plugin of `editors/vim`."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from archc.tests.support import ROOT
from archc.tests.support.lsp import COMMAND, ENVIRONMENT

HAN = "\N{HANGUL SYLLABLE HAN}\N{GRINNING FACE}"
TEXT = f"# {HAN}\ninput 3x32x32\nstem: conv3-16(pad=1)  # {HAN}\nconv3-32(groups=3)\n@stem; relu\nfc-10\n"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("nvim") is None, reason="there is no Neovim: apt-get install neovim")
def test_an_error_is_seen_fixed_and_the_shapes_appear(tmp_path: Path) -> None:
    file, out = tmp_path / "net.arch", tmp_path / "seen.json"
    file.write_text(TEXT, encoding="utf-8")
    env = {**ENVIRONMENT, "FILE": str(file), "OUT": str(out), "SERVER": json.dumps(COMMAND), "HOME": str(tmp_path)}
    run = ["nvim", "--headless", "-u", "NONE", "-n", "--cmd", f"set runtimepath^={ROOT / 'editors/vim'}"]
    done = subprocess.run([*run, "-S", str(ROOT / "tests/cases/lsp/neovim.lua")], env=env, capture_output=True, text=True, timeout=180)
    assert out.exists(), done.stdout + done.stderr
    seen = json.loads(out.read_text(encoding="utf-8"))
    assert "failed" not in seen and "error" not in seen, seen
    assert seen["message"].startswith("3 groups do not divide 16 input channels")
    assert (seen["line"], seen["column"], seen["stop"]) == (3, 16, 17)
    assert "groups 2" in seen["actions"][0]
    assert seen["text"] == TEXT.replace("groups=3", "groups=2").splitlines()
    assert seen["hints"] == [[1, "3x32x32"], [2, "16x32x32"], [3, "32x30x30"], [4, "16x32x32"], [5, "10"]]
    assert "3x32x32 → **16x32x32**" in seen["hover"]
    assert seen["defined"]["range"]["start"] == {"line": 2, "character": 0}
    assert file.read_text(encoding="utf-8") == TEXT  # nothing is written but by the editor
