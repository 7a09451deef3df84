"""A cooperative to ask: one network and its client, members with a year each, and what they granted; by the domain's verbs."""

import base64
import hashlib
import secrets
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
from sqlalchemy import text

from coop import policies, schema
from coop.authorization import clients, grants
from coop.authorization.clients import JWT_FORMAT, Client
from coop.clock import SystemClock
from coop.identity import accounts
from coop.membership import terms
from coop.networks import links, networks
from coop.settings import Settings, load
from coop.unit_of_work import Units

ISSUER = "https://members.example"
ORIGIN = "https://lagoon.example"
CALLBACK = f"{ORIGIN}/callback"
SCOPE = "openid profile offline_access"
VERIFIER = "a-verifier-of-forty-three-characters-or-more-0123456789"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
NOBODYS_DIGEST = "$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAAAAAAAAAAAAAAAAAAAA"
"""Nobody signs in with a password here, so none has to be hashed."""
AT_ONCE = 100
_TLS = ssl.create_default_context()
"""Nothing here is encrypted, but each client would read all certificates of the machine, for fifty milliseconds."""
_LETTERS = str.maketrans("0123456789", "bcdfghkptx")


@dataclass
class Cooperative:
    """A founded cooperative over one database, and the secrets of the network that asks it."""

    settings: Settings
    units: Units
    client: Client
    secret: str
    jwt_client: Client
    """Another client of the network, whose access tokens are signed."""
    jwt_secret: str
    members: list[UUID] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)
    """What the processor says of a payment (`benchmarks.processor`)."""
    port: int = 0
    """Where a service over this database answers."""

    @property
    def basic(self) -> dict[str, str]:
        """The header by which the client proves itself."""
        return _basic(self.client, self.secret)

    @property
    def jwt_basic(self) -> dict[str, str]:
        """The header by which the client with signed access tokens proves itself."""
        return _basic(self.jwt_client, self.jwt_secret)

    async def codes(self, count: int) -> list[str]:
        """Let members allow the client to sign them in, `count` times; each code is good for a minute."""
        async with self.units.open() as work:
            return [
                await grants.begin(
                    work,
                    self.client,
                    account_id=self.members[n % len(self.members)],
                    session_id=uuid4(),
                    scope=SCOPE,
                    nonce="a nonce",
                    authenticated_at=work.wall,
                    amr=("pwd",),
                    redirect_uri=CALLBACK,
                    code_challenge=CHALLENGE,
                )
                for n in range(count)
            ]

    async def tokens(self, count: int) -> list[dict[str, str]]:
        """Redeem fresh codes at the service itself."""
        return [await self.token(self.basic, **redemption(code)) for code in await self.codes(count)]

    async def service_token(self) -> str:
        """Return the token by which the network asks in its own name."""
        return (await self.token(self.basic, grant_type="client_credentials", scope="entitlements"))[
            "access_token"
        ]

    async def token(self, proof: dict[str, str], **fields: str) -> dict[str, str]:
        """Ask the service's token endpoint."""
        async with httpx.AsyncClient(verify=_TLS) as http:
            answer = await http.post(f"http://127.0.0.1:{self.port}/oauth/token", data=fields, headers=proof)
        answer.raise_for_status()
        told: dict[str, str] = answer.json()
        return told


def _basic(client: Client, secret: str) -> dict[str, str]:
    pair = f"{quote(client.client_id, safe='')}:{quote(secret, safe='')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def handle(number: int) -> str:
    """Return a handle for everybody, in letters that look like no others: the database keeps look-alikes apart."""
    return "person_" + str(number).translate(_LETTERS)


def redemption(code: str) -> dict[str, str]:
    """Return the form that redeems a code."""
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }


def environment(database_url: str, processor: int) -> dict[str, str]:
    """Return the settings of the service, as a production's environment would hold them."""
    return {
        "COOP_ISSUER": ISSUER,
        "COOP_DATABASE_URL": database_url,
        "COOP_SECRET_KEY": secrets.token_hex(32),
        "COOP_PAIRWISE_SECRET": secrets.token_hex(32),
        "COOP_WORKER": "false",
        "COOP_STRIPE_SECRET_KEY": "sk_test_bench",
        "COOP_STRIPE_WEBHOOK_SECRET": secrets.token_hex(32),
        "COOP_STRIPE_API_BASE": f"http://127.0.0.1:{processor}",
    }


@asynccontextmanager
async def founded(variables: dict[str, str], members: int) -> AsyncIterator[Cooperative]:
    """Found a cooperative with so many members on the database that `variables` name."""
    settings = load(environ=variables)
    units = Units(settings, SystemClock())
    try:
        await schema.upgrade(units.writer)
        async with units.open() as work:
            await policies.found(work)
            network = await networks.register(work, kind="own", name="Lagoon", origin=ORIGIN)
            client, secret = await clients.register(
                work, name="Lagoon", network_id=network.id, redirect_uris=[CALLBACK]
            )
            signing, signing_secret = await clients.register(
                work, name="Lagoon's gateway", network_id=network.id, redirect_uris=[CALLBACK]
            )
            signing.access_token_format = JWT_FORMAT
        made = Cooperative(settings, units, client, secret or "", signing, signing_secret or "")
        for first in range(0, members, AT_ONCE):
            await _join(made, network.id, range(first, min(first + AT_ONCE, members)))
        await analyse(units)
        yield made
    finally:
        await units.close()


async def _join(made: Cooperative, network_id: UUID, numbers: Sequence[int]) -> None:
    async with made.units.open() as work:
        dues = await policies.in_force(work, policies.Dues)
        for n in numbers:
            account = await accounts.register(
                work, handle=handle(n), email=None, password_digest=NOBODYS_DIGEST
            )
            await terms.begin(work, account.id, dues=dues)
            made.members.append(account.id)
            made.subjects.append((await links.link(work, network_id, account.id)).subject)


async def analyse(units: Units) -> None:
    """Tell the planner what the tables hold, as autovacuum would within a minute of a real life."""
    async with units.writer.connect() as connection:
        await connection.execute(text("ANALYZE"))
        await connection.commit()
