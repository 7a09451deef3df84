"""The tally of one reconciliation: what was looked at, what healed, what could not be done."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import structlog

from coop.billing.gateway import GatewayAway
from coop.errors import CoopError

MOST = 200
"""How many healed things are listed by name; all are counted."""

log = structlog.get_logger("coop.reconciliation")


@dataclass(slots=True)
class Tally:
    """Counted as it goes; nothing in it tells who somebody is."""

    looked: int = 0
    healed: int = 0
    names: list[tuple[str, str]] = field(default_factory=list)
    """What healed: which way, and the object at Stripe."""
    opened: int = 0
    closed: int = 0
    failed: list[str] = field(default_factory=list)
    """Steps that did not come to their end."""

    def heal(self, what: str, name: str) -> None:
        """Count something that healed by itself."""
        self.healed += 1
        if len(self.names) < MOST:
            self.names.append((what, name))

    @contextlib.contextmanager
    def outlived(self, what: str, name: str) -> Iterator[None]:
        """Go on to the next object when one cannot be dealt with; but not when the processor is away."""
        try:
            yield
        except GatewayAway:
            raise
        except CoopError as error:
            log.warning("reconciliation_object", kind=what, code=error.code)
        except Exception as error:  # noqa: BLE001 - one crooked object must not keep all others from being looked at
            log.warning("reconciliation_object", kind=what, error=type(error).__name__)
            self.failed.append(f"{what} {name}")

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Note a step that did not come to its end, and go on with the next one."""
        try:
            yield
        except CoopError as error:
            log.warning("reconciliation_step", step=name, code=error.code)
            self.failed.append(name)
        except Exception as error:
            log.exception("reconciliation_step", step=name, error=type(error).__name__)
            self.failed.append(name)
