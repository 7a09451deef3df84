"""Comparators: what others run for the same purpose, over the same PostgreSQL, asked the same things in the same rounds."""

import base64
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import httpx

from benchmarks.cooperative import CALLBACK, VERIFIER
from benchmarks.load import CONNECTIONS, TOKEN, Load, chain, form, request

TOKENS = 100
CODES = 1500
CLIENT_ID = "lagoon"
CLIENT_SECRET = "a-secret-of-the-network-drawn-at-random"  # noqa: S105 - of a database that lives for minutes
RESOURCE = "https://api.lagoon.example"
"""Tokens for it are JWTs, where a server decides by what is asked for."""
PATIENCE = 120


@dataclass(frozen=True)
class Comparator:
    """Somebody else's server, running, with a second door at which tokens are made for each round."""

    name: str
    port: int
    pid: int
    seed: str
    """The address that gives a list of fresh tokens for `/KIND/COUNT`."""
    endpoints: Mapping[str, str]
    """The server's addresses for the paths that it has, under our names."""
    service_id: str = CLIENT_ID
    """The client that acts in its own name."""

    async def load(self, path: str) -> Load:
        """Return the requests of a round."""
        if path in {"discovery", "jwks"}:
            return Load((request("GET", self.endpoints[path]),))
        return await _LOADS[path](self, self.endpoints[path])

    async def fresh(self, kind: str, count: int) -> list[str]:
        """Return tokens that nobody has used."""
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            answer = await http.get(f"{self.seed}/{kind}/{count}")
        answer.raise_for_status()
        told: list[str] = answer.json()
        return told


async def _client_credentials(server: Comparator, target: str) -> Load:
    fields = {"grant_type": "client_credentials", "scope": "entitlements"}
    return Load((form(target, fields, basic(server.service_id)),))


async def _client_credentials_jwt(server: Comparator, target: str) -> Load:
    fields = {"grant_type": "client_credentials", "scope": "entitlements", "resource": RESOURCE}
    return Load((form(target, fields, basic(server.service_id)),))


async def _code_exchange(server: Comparator, target: str) -> Load:
    known = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    codes = await server.fresh("AuthorizationCode", CODES)
    return Load(tuple(form(target, known | {"code": code}, basic()) for code in codes), "once")


async def _refresh(server: Comparator, target: str) -> Load:
    tokens = await server.fresh("RefreshToken", 2 * CONNECTIONS)
    return chain(form(target, {"grant_type": "refresh_token", "refresh_token": TOKEN}, basic()), tokens)


async def _introspection(server: Comparator, target: str) -> Load:
    tokens = await server.fresh("AccessToken", TOKENS)
    return Load(tuple(form(target, {"token": token}, basic()) for token in tokens))


async def _userinfo(server: Comparator, target: str) -> Load:
    tokens = await server.fresh("AccessToken", TOKENS)
    return Load(tuple(request("GET", target, {"Authorization": f"Bearer {token}"}) for token in tokens))


def basic(client_id: str = CLIENT_ID) -> dict[str, str]:
    """Return the header by which a client proves itself."""
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{CLIENT_SECRET}".encode()).decode()}


_LOADS: dict[str, Callable[[Comparator, str], Awaitable[Load]]] = {
    "client-credentials": _client_credentials,
    "client-credentials-jwt": _client_credentials_jwt,
    "code-exchange": _code_exchange,
    "refresh": _refresh,
    "introspection": _introspection,
    "userinfo": _userinfo,
}

Running = Callable[[str, int], AbstractAsyncContextManager[Comparator]]


def every() -> dict[str, Running]:
    """Return how each comparator is started, on which database server and with how many members."""
    from benchmarks.against import django_oauth_toolkit, node_oidc_provider  # noqa: PLC0415 - they need this module first

    return {
        "node-oidc-provider": node_oidc_provider.running,
        "django-oauth-toolkit": django_oauth_toolkit.running,
    }
