"""The entry point of the command line. It imports almost nothing, so Ctrl-C exits quietly from the start."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Run the command line. Always ends the process with an exit code."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # while the verbs are imported
    from archc.ui.verbs.app import run

    run()


def _use_checkout() -> None:
    """Import this checkout as `archc`, whatever its folder's name and whatever else is installed."""
    import sys
    from importlib.util import module_from_spec, spec_from_file_location

    folder = os.path.dirname(os.path.abspath(__file__))
    spec = spec_from_file_location("archc", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder])
    assert spec is not None
    assert spec.loader is not None
    sys.modules["archc"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["archc"])


if __name__ == "__main__":
    _use_checkout()
    main()
