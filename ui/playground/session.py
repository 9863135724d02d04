"""A session of the page: one open text, checked after every edit, and what is asked about it. Requests and answers are JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from archc.compiler.draw.layout import NoGraphviz, TooLarge
from archc.compiler.errors import UsageError
from archc.dsl.diagnostics import Fault
from archc.dsl.errors import ArchError
from archc.ui.playground import checks, pictures, tables
from archc.ui.playground.checks import Checked

Answer = dict[str, Any]


class Session:
    """The open text, as it was last checked. Positions in requests and answers count UTF-16 units, as a page does."""

    def __init__(self) -> None:
        self._now: Checked | None = None
        self._sound: Checked | None = None
        self._requests: dict[str, Callable[[Mapping[str, Any]], Answer]] = {
            "check": self._check,
            "mend": lambda asked: checks.mended(self._current(asked)),
            "picture": lambda asked: pictures.answer(self._current(asked), asked),
            "summary": lambda asked: tables.summary(self._current(asked), asked),
            "expanded": lambda asked: tables.expanded(self._current(asked)),
            "diff": lambda asked: tables.difference(self._current(asked), asked),
            "explain": lambda asked: tables.explained(self._current(asked), asked),
            "export": lambda asked: pictures.exported(self._current(asked), asked),
            "format": lambda asked: tables.formatted(asked),
            "complete": self._complete,
            "hover": self._hover,
            "warm": self._warm,
            "rehearse": self._rehearse,
        }

    def answer(self, request: str) -> str:
        """Answer one request: an object with `op` and its arguments. What cannot be answered is said under `error`, never raised."""
        asked = json.loads(request)
        try:
            found = self._requests[asked["op"]](asked)
        except (UsageError, NoGraphviz, TooLarge) as error:
            found = {"error": str(error)}
        except ArchError as error:
            found = {"error": "\n".join(f"{each.code}: {each.message}" for each in error.diagnostics)}
        except Fault as error:
            found = {"error": f"{error.diagnostic.code}: {error.diagnostic.message}"}
        except RecursionError:
            found = {"error": "this file is nested too deeply"}
        except MemoryError:
            found = {"error": "out of memory: the page has too little for this network"}
        return json.dumps(found)

    def _check(self, asked: Mapping[str, Any]) -> Answer:
        self._now = checks.checked(asked, self._now)
        if self._now.report.ok and self._now.report.has_network:
            self._sound = self._now
        found = checks.answer(self._now)
        if "picture" in asked:
            found["picture"] = self._picture(asked["picture"])
        return found

    def _picture(self, asked: Mapping[str, Any]) -> Answer:
        try:
            return pictures.answer(self._current({}), asked)
        except (UsageError, NoGraphviz, TooLarge) as error:
            return {"error": str(error)}

    def _current(self, asked: Mapping[str, Any]) -> Checked:
        """Return the text as it is now; one that the page sends along is checked first, as in a page that has just started anew."""
        if "text" in asked and (self._now is None or not self._now.is_of(asked)):
            self._check({name: asked[name] for name in ("text", "name", "settings", "inputs") if name in asked})
        if self._now is None:
            raise UsageError("there is no text yet")
        return self._now

    def _complete(self, asked: Mapping[str, Any]) -> Answer:
        from archc.ui.playground.assistance import complete  # what the language server is made of takes a moment to import

        return complete(self._current(asked), self._sound, asked["at"])

    def _warm(self, asked: Mapping[str, Any]) -> Answer:
        """Import what completion and hover need, while nobody waits for it."""
        import archc.ui.playground.assistance as assistance

        return {"ready": assistance.__name__}

    def _rehearse(self, asked: Mapping[str, Any]) -> Answer:
        """Check and draw a text as if it had just been opened, and keep nothing of it: edits are faster once a browser has compiled all."""
        return {"ok": Session()._check(asked)["ok"]}

    def _hover(self, asked: Mapping[str, Any]) -> Answer:
        from archc.ui.playground.assistance import hover

        return hover(self._current(asked), self._sound, asked["at"])
