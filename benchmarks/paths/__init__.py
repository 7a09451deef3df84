"""The paths that are measured: one module each, with the requests that a client would send."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from benchmarks.cooperative import Cooperative
from benchmarks.load import Load

Yardstick = Literal["select", "insert", "argon2id", "payment"]


@dataclass(frozen=True, slots=True)
class Path:
    """One path of the service."""

    name: str
    load: Callable[[Cooperative], Awaitable[Load]]
    """Makes the requests of a round; asked before each, since some tokens are good once."""
    beside: Yardstick
    """What the machine does at best of the same kind: measured in the same rounds."""


def every() -> dict[str, Path]:
    """Return all paths by name, in the order in which they are measured."""
    from benchmarks.paths import (  # noqa: PLC0415 - they need this module first
        client_credentials,
        code_exchange,
        discovery,
        entitlement,
        entitlement_batch,
        introspection,
        jwks,
        refresh,
        sign_up,
        userinfo,
        webhook,
    )

    modules = (
        client_credentials,
        code_exchange,
        refresh,
        introspection,
        userinfo,
        entitlement,
        entitlement_batch,
        discovery,
        jwks,
        sign_up,
        webhook,
    )
    return {path.name: path for module in modules for path in module.PATHS}
