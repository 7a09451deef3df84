"""Processes that carry out erasures and are killed: one for each line of input, forked, since to start one takes a second.

A line names the calls to the processor at which one has died already, as a JSON list. The next one dies, by `kill -9`, at
the first other one, before it is sent or after it was answered, having said where; or it comes to the end and says nothing.
"""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Mapping
from datetime import datetime

import msgspec
import stripe

from coop.billing.stripe_gateway import StripeGateway
from coop.clock import FixedClock
from coop.leaving import erasing
from coop.settings import Settings
from coop.unit_of_work import Units

_ID = re.compile(r"/(?:cs|sub|cus|in|seti|pi|pm)_\w+")


class Mortal(stripe.AIOHTTPClient):
    """Brings requests to the processor, and dies of it."""

    spared: frozenset[str] = frozenset()

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | None = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send one request, if this process lives so long."""
        call = f"{method} {_ID.sub('/ID', url.partition('/v1')[2].partition('?')[0])}"
        self.at(f"before {call}")
        answer: tuple[bytes, int, Mapping[str, str]] = await super().request_async(  # type: ignore[no-untyped-call]
            method, url, headers, post_data
        )
        self.at(f"after {call}")
        return answer

    def at(self, moment: str) -> None:
        """Die here, unless one has died here before."""
        if moment not in self.spared:
            print(moment, file=sys.__stdout__, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)


async def carry_out(settings: Settings, at: datetime, spared: frozenset[str]) -> None:
    """Do what is due of erasures."""
    http = Mortal(timeout=20)
    http.spared = spared
    units, gateway = Units(settings, FixedClock(at)), StripeGateway(settings, http)
    await erasing.carry_out_due(units, gateway)
    await gateway.close()
    await units.close()


def main() -> None:
    """Start one process after the other, and wait for how each of them ends."""
    settings, at = msgspec.json.decode(sys.argv[1], type=tuple[Settings, datetime])
    # What is logged is none of the answer.
    sys.stdout = sys.stderr
    for line in sys.stdin:
        child = os.fork()
        if not child:
            asyncio.run(carry_out(settings, at, frozenset(json.loads(line))))
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    main()
