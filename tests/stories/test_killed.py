"""The demo stopped, and the demo killed in the middle of a burst of payments."""

import json
import random
import resource
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from api.sandbox.webhooks import sign
from coop.clock import SystemClock
from tests.demo import Demo, eventually

CARD = {"number": "4242424242424242", "expiry": "12 / 34", "cvc": "123"}
GIVERS = 14
ENOUGH = 5
"""Payments after which the process is killed, with the others under way."""


def spent() -> float:
    """Return the seconds that processes which have ended have worked for us."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_told_to_stop_it_leaves_nothing_running_and_starts_again_in_a_moment(own_demo: Demo) -> None:
    assert own_demo.signal(signal.SIGTERM) == 0
    assert not own_demo.alive()
    own_demo.end()
    before = spent()

    waited = own_demo.start()

    # As a terminal does on Ctrl-C.
    assert own_demo.signal(signal.SIGINT, everyone=True) == 0
    assert not own_demo.alive()
    worked = spent() - before
    print(f"a warm start took {waited:.1f} s, and {worked:.1f} s of work")  # noqa: T201 - a good figure is of interest, too
    # It takes less than 5 s on two idle cores; how long it takes beside other tests says little.
    assert waited < 15 or worked < 15


@dataclass
class Burst:
    """Many people who pay at once, and a processor that tells of it again and again, in any order."""

    demo: Demo
    pages: list[str] = field(default_factory=list)
    paid: list[str] = field(default_factory=list)
    """The payment pages that said thank you."""
    told: list[str] = field(default_factory=list)
    """The events that were acknowledged."""
    enough: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def prepare(self, handle: str, amount: str) -> None:
        """Bring somebody to their payment page."""
        form = {"name": handle, "password": "a-long-demo-password", "next": "/sponsor"}
        wish = {"amount": "other", "other": amount, "key": uuid4().hex}
        with httpx.Client(base_url=self.demo.issuer, timeout=30) as browser:
            assert browser.post("/sign-in", data=form).status_code == 303
            answer = browser.post("/sponsor", data=wish)
        assert answer.status_code == 303, answer.text
        self.pages.append(answer.headers["location"])

    def pay(self, page: str) -> None:
        """Enter a card; whoever gets no answer does not know whether they have paid."""
        try:
            answer = httpx.post(page, data=CARD, timeout=30)
        except httpx.HTTPError:
            return
        assert answer.headers["location"].startswith(f"{self.demo.issuer}/join/return")
        self.paid.append(page)
        if len(self.paid) >= ENOUGH:
            self.enough.set()

    def repeat(self) -> None:
        """Tell of the latest events, shuffled, until the process is gone."""
        while not self.over.is_set():
            try:
                self.tell()
            except httpx.HTTPError:
                return

    def tell(self) -> None:
        """Tell of the latest events once, as the sandbox's own webhooks do."""
        sandbox = self.demo.manifest["sandbox"]
        events = self.ask("/v1/events?limit=60")
        random.shuffle(events)
        with httpx.Client(timeout=30) as processor:
            for event in events:
                body = json.dumps(event).encode()
                signature = sign(body, [sandbox["webhook_secret"]], int(SystemClock().wall().timestamp()))
                answer = processor.post(
                    sandbox["webhook_url"], content=body, headers={"Stripe-Signature": signature}
                )
                assert answer.status_code == 200, answer.text
                self.told.append(event["id"])

    def ask(self, path: str) -> list[dict[str, Any]]:
        """Return a list of the sandbox's."""
        sandbox = self.demo.manifest["sandbox"]
        key = {"Authorization": f"Bearer {sandbox['secret_key']}"}
        answer = httpx.get(f"{sandbox['api_base']}{path}", headers=key, timeout=30)
        listed: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
        return listed

    def charged(self) -> dict[str, str]:
        """Return the payment behind every page on which money was taken."""
        names = {urlsplit(page).path.rpartition("/")[2]: page for page in self.pages}
        return {
            names[session["id"]]: session["payment_intent"]
            for session in self.ask("/v1/checkout/sessions?limit=100")
            if session["id"] in names and session["payment_status"] == "paid"
        }

    def booked(self) -> Counter[str]:
        """Return how often each payment stands in the journal."""
        return Counter(entry["external_id"] for entry in self.demo.journal() if entry["source"] == "payment")


def test_killed_in_a_burst_it_loses_nothing_and_books_nothing_twice(own_demo: Demo) -> None:
    burst = Burst(own_demo)
    payers = [m["handle"] for m in own_demo.manifest["members"] if m["standing"] == "paying"][:GIVERS]
    with ThreadPoolExecutor(GIVERS + 2) as crowd:
        for number, handle in enumerate(payers):
            burst.prepare(handle, f"{30 + number}.01")
        crowd.submit(burst.repeat)
        under_way = [crowd.submit(burst.pay, page) for page in burst.pages]
        assert burst.enough.wait(60)
        assert own_demo.signal(signal.SIGKILL) == -signal.SIGKILL
        burst.over.set()
        for each in under_way:
            each.result()
    # The networks notice that the demo is gone, and leave their ports to the next.
    eventually("the networks of a killed demo end", lambda: not own_demo.alive())
    own_demo.end()

    own_demo.start()

    charged = burst.charged()
    assert set(burst.paid) <= set(charged)
    eventually("every payment is booked", lambda: not set(charged.values()) - set(burst.booked()), within=120)
    burst.tell()
    burst.tell()
    booked = burst.booked()
    assert {payment: booked[payment] for payment in charged.values()} == dict.fromkeys(charged.values(), 1)
    assert max(booked.values()) == 1
    own_demo.books()
