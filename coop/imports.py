"""Imports of libraries that look for others, which every process would then carry about unused."""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def absent(*names: str) -> Iterator[None]:
    """Let imports of `names` fail for a moment, as if they were not installed."""
    there = {name: sys.modules[name] for name in names if name in sys.modules}
    # This is how Python itself is told that a module cannot be imported.
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]  # None is what says so
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
        sys.modules.update(there)
