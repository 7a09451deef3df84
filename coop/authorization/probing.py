"""Probing: whether the networks that are plugged in can be reached as they were registered, and what to do if not.

Each address is called once, through the guarded client, with little time and a few at once; a network that is away or that
leads into a private place is a finding like any other, never a fault of ours.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Literal
from urllib.parse import urljoin, urlsplit
from uuid import UUID

from sqlalchemy import func, select

from coop import policies
from coop.authorization.clients import Client
from coop.authorization.grants import Grant
from coop.errors import CoopError
from coop.fetching import Answer, Fetcher
from coop.networks import covenant, networks
from coop.networks.deliveries import Delivery
from coop.networks.endpoints import Endpoint
from coop.networks.networks import Network
from coop.unit_of_work import UnitOfWork, Units

SECONDS = 6
AT_ONCE = 8
QUIET = timedelta(days=30)
"""After how long without a sign-in a network is asked after."""
FAILS = timedelta(hours=1)
"""After how long an endpoint to which nothing arrives is spoken of."""

_ABSENT = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


@dataclass(frozen=True, slots=True)
class Probed:
    """One thing that was looked at on one network; `do` says how to mend it."""

    slug: str
    what: str
    state: Literal["good", "warning"]
    do: str = ""


@dataclass(frozen=True, slots=True)
class _Plugged:
    """One network as it is registered."""

    network: Network
    callbacks: tuple[str, ...]
    findings: tuple[Probed, ...]


async def probe(units: Units, *, offline: bool = False, seconds: float = SECONDS) -> list[Probed]:
    """Look at every network: its signature, its webhooks, its last sign-in, its address and its callback.

    `offline` leaves out what would call anybody; `seconds` is how long one call may take.
    """
    async with units.read() as work:
        plugged = await _registered(work)
    found: list[Probed] = []
    if offline:
        answers: list[list[Probed]] = [[] for _ in plugged]
    else:
        async with Fetcher(units.settings) as fetcher:
            turns = asyncio.Semaphore(AT_ONCE)
            answers = await asyncio.gather(*(_called(fetcher, turns, one, seconds) for one in plugged))
    for one, called in zip(plugged, answers, strict=True):
        found.extend((*one.findings, *called))
    return found


async def _registered(work: UnitOfWork) -> list[_Plugged]:
    everyone = (await work.session.scalars(select(Network).order_by(Network.slug))).all()
    if not everyone:
        return []
    in_force = (await policies.in_force(work, policies.Covenant)).number
    signed = await covenant.signed(work, [network.id for network in everyone])
    registered: dict[UUID, list[Client]] = {}
    for client in await work.session.scalars(select(Client).where(Client.network_id.is_not(None))):
        registered.setdefault(client.network_id or UUID(int=0), []).append(client)
    endpoints = {one.network_id: one for one in await work.session.scalars(select(Endpoint))}
    waiting = await _waiting(work)
    latest = await _latest(work)
    plugged = []
    for network in everyone:
        clients = registered.get(network.id, [])
        findings = [_state(network), _signature(network, signed.get(network.id), in_force)]
        if clients:
            last = max((latest[c.id] for c in clients if c.id in latest), default=None)
            findings.append(_sign_ins(network, last, work.wall))
        else:
            findings.append(
                Probed(network.slug, "client", "warning", "it has no client, so nobody can sign in there")
            )
        if network.id in endpoints:
            endpoint = endpoints[network.id]
            findings.append(_webhook(network, endpoint, waiting.get(endpoint.id, 0), work.wall))
        callbacks = tuple(
            uri
            for client in clients
            for uri in client.redirect_uris
            if not client.native and uri.startswith(("https:", "http:"))
        )
        plugged.append(_Plugged(network, callbacks, tuple(one for one in findings if one is not None)))
    return plugged


async def _waiting(work: UnitOfWork) -> dict[UUID, int]:
    rows = await work.session.execute(
        select(Delivery.endpoint_id, func.count())
        .where(Delivery.delivered_at.is_(None), Delivery.due_at.is_not(None), Delivery.attempts > 1)
        .group_by(Delivery.endpoint_id)
    )
    return {endpoint_id: count for endpoint_id, count in rows}  # noqa: C416 - dict() does not know that a row is a pair


async def _latest(work: UnitOfWork) -> dict[UUID, datetime]:
    rows = await work.session.execute(
        select(Grant.client_id, func.max(Grant.created_at)).group_by(Grant.client_id)
    )
    return {client_id: at for client_id, at in rows}  # noqa: C416 - dict() does not know that a row is a pair


def _state(network: Network) -> Probed | None:
    if network.state == networks.ACTIVE:
        return None
    return Probed(
        network.slug,
        "state",
        "warning",
        f"it is suspended; `coop network reinstate {network.slug}` when that is settled",
    )


def _signature(network: Network, signed: int | None, in_force: int) -> Probed:
    if signed == in_force:
        return Probed(network.slug, "covenant", "good")
    has = "has signed none" if signed is None else f"has signed version {signed}"
    return Probed(
        network.slug,
        "covenant",
        "warning",
        f"it {has}, in force is {in_force}; once its people agree, `coop network sign {network.slug}`",
    )


def _sign_ins(network: Network, last: datetime | None, wall: datetime) -> Probed:
    if last is not None and wall - last <= QUIET:
        return Probed(network.slug, "sign-ins", "good")
    since = (
        "nobody has signed in there yet" if last is None else f"nobody has signed in since {last:%Y-%m-%d}"
    )
    return Probed(
        network.slug,
        "sign-ins",
        "warning",
        f"{since}; try it in a private window (`coop network show {network.slug}` says how)",
    )


def _webhook(network: Network, endpoint: Endpoint, waiting: int, wall: datetime) -> Probed:
    if endpoint.gone_at is not None:
        return Probed(
            network.slug,
            "webhooks",
            "warning",
            "it answered 410 Gone and is told nothing; set its address again",
        )
    # What is tried for the first time may still arrive.
    if endpoint.failing_since is not None and not waiting and wall - endpoint.failing_since > FAILS:
        return Probed(
            network.slug,
            "webhooks",
            "warning",
            f"nothing has arrived since {endpoint.failing_since:%Y-%m-%d %H:%M} UTC; once it is mended, "
            f"`coop webhooks replay {network.slug} --failed` sends all of it again",
        )
    if waiting:
        return Probed(
            network.slug,
            "webhooks",
            "warning",
            f"{waiting} deliveries have failed more than once and wait; does {endpoint.url} answer within ten seconds?",
        )
    return Probed(network.slug, "webhooks", "good")


async def _called(fetcher: Fetcher, turns: asyncio.Semaphore, one: _Plugged, seconds: float) -> list[Probed]:
    slug, origin = one.network.slug, one.network.origin
    home, *answers = await asyncio.gather(
        *(_call(fetcher, turns, url, seconds) for url in (f"{origin}/", *one.callbacks))
    )
    if isinstance(home, str):
        # Its callbacks are at the same place; saying so again would help nobody.
        return [Probed(slug, "address", "warning", f"{origin} cannot be reached: {home}")]
    found = [_address(slug, origin, home)]
    # Software that has several is reached at one of them.
    judged = [_callback(slug, url, answer) for url, answer in zip(one.callbacks, answers, strict=True)]
    good = [finding for finding in judged if finding.state == "good"]
    return found + (good[:1] or judged)


async def _call(fetcher: Fetcher, turns: asyncio.Semaphore, url: str, seconds: float) -> Answer | str:
    async with turns:
        try:
            async with asyncio.timeout(seconds):
                return await fetcher.send("GET", url)
        except TimeoutError:
            return f"no answer within {seconds:g} seconds"
        except CoopError as error:
            return error.message


def _address(slug: str, origin: str, answer: Answer) -> Probed:
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Probed(slug, "address", "warning", f"{origin} answers with status {answer.status}")
    target = urlsplit(urljoin(f"{origin}/", answer.location))
    moved = f"{target.scheme}://{target.netloc}"
    if answer.location and moved != origin and target.path in {"", "/"}:
        return Probed(
            slug,
            "address",
            "warning",
            f"it lives at {moved} and not at {origin}; register it as it calls itself",
        )
    return Probed(slug, "address", "good")


def _callback(slug: str, url: str, answer: Answer | str) -> Probed:
    if isinstance(answer, str):
        return Probed(slug, "callback", "warning", f"{url} cannot be reached: {answer}")
    if answer.status in _ABSENT:
        return Probed(
            slug,
            "callback",
            "warning",
            f"there is nothing at {url} (status {answer.status}); is sign-in with the cooperative switched on there, "
            f"under the name that the recipe gives it? See `coop network show {slug}`",
        )
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Probed(slug, "callback", "warning", f"{url} answers with status {answer.status}; see its log")
    mistake = _mistake(url, answer.location) if answer.location else None
    if mistake is not None:
        return Probed(slug, "callback", "warning", f"{url} {mistake}")
    return Probed(slug, "callback", "good")


def _mistake(url: str, location: str) -> str | None:
    """Say what is wrong if a callback leads to almost the same address: on such a detour its parameters are lost."""
    here, there = urlsplit(url), urlsplit(urljoin(url, location))
    same_path = here.path.rstrip("/") == there.path.rstrip("/")
    if not same_path or (here.netloc, here.scheme, here.path) == (there.netloc, there.scheme, there.path):
        return None
    target = f"{there.scheme}://{there.netloc}{there.path}"
    differences: Iterable[str] = (
        *(["http and https are mixed up"] if here.scheme != there.scheme else []),
        *(["it is at another host"] if here.netloc != there.netloc else []),
        *(["a slash at the end is missing or too many"] if here.path != there.path else []),
    )
    return f"leads on to {target}: {', '.join(differences)}; its software must call itself {target}"
