"""archc: the way in. It imports almost nothing, so that Ctrl-C ends quietly from the start."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Run the command line; the only way out is an exit code."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # while the verbs are imported
    from compiler.verbs.app import run

    run()


if __name__ == "__main__":
    main()
