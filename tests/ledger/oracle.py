"""Beancount's own checker, a witness that nobody here wrote."""

import subprocess
import sys
from pathlib import Path

BEAN_CHECK = Path(sys.executable).with_name("bean-check")


def bean_check(text: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run `bean-check` on `text`, written to `path`."""
    path.write_text(text, encoding="utf-8")
    return subprocess.run([BEAN_CHECK, path], capture_output=True, text=True, check=False)
