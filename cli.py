"""archc: the way in. It imports almost nothing, so that Ctrl-C ends quietly from the start."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Run the command line; the only way out is an exit code."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # while the verbs are imported
    from archc.ui.verbs.app import run

    run()


def _use_checkout() -> None:
    """Import this checkout as `archc`, whatever its folder is called and whatever else is installed."""
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
