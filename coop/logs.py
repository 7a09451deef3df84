"""Logs by allow-list: a line carries only fields that are known to be neither secret nor personal.

Everything else is dropped, and a fault's trace names where it happened but not the values it happened with.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Literal

import structlog

ALLOWED = frozenset(
    {
        "attempts", "closed", "code", "constraint", "database", "delivery", "duration", "entries", "error", "event",
        "event_type", "failed", "healed", "job", "kind", "level", "looked", "method", "motion", "network", "open", "opened",
        "path", "port", "route", "status", "step", "timestamp", "trace", "version",
    }
)  # fmt: skip

Entry = MutableMapping[str, object]


def trace(_logger: object, _method: str, entry: Entry) -> Entry:
    """Replace an exception by its type and the places it came through; its message may quote personal data."""
    problem = entry.pop("exc_info", None)
    if problem is True:
        problem = sys.exc_info()[1]
    if isinstance(problem, BaseException):
        entry["error"] = type(problem).__name__
        frames = traceback.extract_tb(problem.__traceback__)
        entry["trace"] = [
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames[-12:]
        ]
    return entry


def allow(_logger: object, _method: str, entry: Entry) -> Entry:
    """Drop every field that is not on the list."""
    for key in [key for key in entry if key not in ALLOWED]:
        del entry[key]
    return entry


def configure(*, form: Literal["json", "text"] = "json", level: int = logging.INFO) -> None:
    """Send the log to standard error, as JSON lines for machines or as text for a person at a terminal."""
    renderer: structlog.typing.Processor
    renderer = (
        structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            trace,
            allow,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
