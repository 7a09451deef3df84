"""Runs a script for as long as the demo that started it lives: `python -m coop.cli.demo.companion SCRIPT …`."""

import os
import runpy
import signal
import sys
import threading


def main() -> None:
    """Run the script that the arguments name as if it had been started by itself."""
    threading.Thread(target=follow, daemon=True).start()
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")


def follow() -> None:
    """End this process with the demo: it holds the other end of standard input, however it dies."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
