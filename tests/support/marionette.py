"""Drives Debian's Firefox by Marionette, the protocol that it speaks itself: JSON over a socket, with no further program between.

Playwright drives only a Firefox of its own, and Debian has no geckodriver.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CONTROL = "\ue009"
PREFERENCES = {
    "marionette.port": 0,  # any that is free; it is written into the profile
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.download.folderList": 2,  # into `browser.download.dir`
    "browser.download.always_ask_before_handling_new_types": False,
}
DOWNLOADS = "downloads"  # the folder in the profile


class Firefox:
    """One window of a Firefox."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._stream = connection.makefile("rb")
        self._number = 0
        self._receive()  # what it is, and which version of the protocol it speaks

    def _receive(self) -> Any:
        length = b""
        while (byte := self._stream.read(1)) != b":":
            if not byte:
                raise ConnectionError("Firefox has gone")
            length += byte
        return json.loads(self._stream.read(int(length)))

    def command(self, name: str, **given: Any) -> Any:
        """Send a command; return its value. Raises RuntimeError with what Firefox says is wrong."""
        self._number += 1
        data = json.dumps([0, self._number, name, given]).encode()
        self._connection.sendall(b"%d:%s" % (len(data), data))
        _, number, error, result = self._receive()
        assert number == self._number
        if error:
            raise RuntimeError(f"{name}: {error.get('error')}: {error.get('message')}")
        return result.get("value") if isinstance(result, dict) and set(result) == {"value"} else result

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page; return what it returns."""
        return self.command("WebDriver:ExecuteScript", script=script, args=list(arguments))

    def _element(self, selector: str) -> str:
        (element,) = self.command("WebDriver:FindElement", using="css selector", value=selector).values()
        return str(element)

    def click(self, selector: str) -> None:
        """Click an element."""
        self.command("WebDriver:ElementClick", id=self._element(selector))

    def type(self, selector: str, keys: str) -> None:
        """Type into an element."""
        self.command("WebDriver:ElementSendKeys", id=self._element(selector), text=keys)

    def text(self, selector: str) -> str:
        """Return the text of an element, as it is shown; "" where there is none."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def wait(self, script: str, seconds: float = 30) -> None:
        """Wait until an expression holds."""
        end = time.monotonic() + seconds
        while not self.run(f"return Boolean({script})"):
            assert time.monotonic() < end, f"{script} does not become true; the page says: {self.text('body')[:500]}"
            time.sleep(0.1)


@contextmanager
def started(browser: str, profile: Path, seconds: float = 60) -> Iterator[Firefox]:
    """Start a Firefox without a window, with a profile in an empty folder, and end it afterwards."""
    preferences = {**PREFERENCES, "browser.download.dir": str(profile / DOWNLOADS)}
    lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in preferences.items())
    (profile / "user.js").write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [browser, "--headless", "--marionette", "--no-remote", "--profile", str(profile)]
    environment = {**os.environ, "HOME": str(profile), "MOZ_HEADLESS": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            place, end = profile / "MarionetteActivePort", time.monotonic() + seconds
            while not (place.exists() and place.read_text().strip()):
                assert process.poll() is None, f"Firefox ended with {process.returncode}"
                assert time.monotonic() < end, "Firefox does not start"
                time.sleep(0.1)
            with socket.create_connection(("127.0.0.1", int(place.read_text())), timeout=180) as connection:
                firefox = Firefox(connection)
                firefox.command("WebDriver:NewSession", capabilities={"alwaysMatch": {}})
                yield firefox
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
