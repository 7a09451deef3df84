"""A relying party as the tests need one: it says exactly what it is told to say, right or wrong."""

import base64
import hashlib
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, quote, urlsplit

import httpx

from coop.authorization import clients
from coop.networks import networks
from coop.unit_of_work import Units

VERIFIER = "a-verifier-of-forty-three-characters-or-more-0123456789"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SCOPE = "openid profile email offline_access"


@dataclass
class RelyingParty:
    """One client, the browser of one person, and the wire between them."""

    http: httpx.AsyncClient
    """The browser; it follows no redirect by itself."""
    wire: httpx.AsyncClient
    """What the client's server speaks through; it carries no cookie."""
    client_id: str
    secret: str | None
    redirect_uri: str
    auth_method: str = "client_secret_basic"
    extra: dict[str, str] = field(default_factory=dict)

    def parameters(self, **changes: str | None) -> dict[str, str]:
        """Return a good authorization request, changed; None leaves a parameter out."""
        good: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": SCOPE,
            "state": "a state",
            "nonce": "a nonce",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        } | self.extra
        return {name: value for name, value in (good | changes).items() if value is not None}

    async def authorize(self, **changes: str | None) -> httpx.Response:
        """Send the browser to the authorization endpoint."""
        return await self.http.get("/oauth/authorize", params=self.parameters(**changes))

    async def agree(self, answer: httpx.Response, **changes: str) -> httpx.Response:
        """Send the consent page's own form, as a browser without scripts would."""
        assert answer.status_code == 200, answer.text
        form = Form(answer.text, "/oauth/consent").fields | {"decision": "allow"} | changes
        return await self.http.post("/oauth/consent", data=form)

    async def code(self, **changes: str | None) -> str:
        """Return a fresh code, agreeing on the way if asked."""
        answer = await self.authorize(**changes)
        if answer.status_code == 200:
            answer = await self.agree(answer)
        told = answer_of(answer)
        assert "code" in told, told
        return told["code"]

    async def token(self, **form: str | None) -> httpx.Response:
        """Send a form to the token endpoint, proving the client as it is registered."""
        return await self.post("/oauth/token", **form)

    async def redeem(self, code: str, **changes: str | None) -> httpx.Response:
        """Redeem a code."""
        good: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": VERIFIER,
        }
        return await self.token(**(good | changes))

    async def tokens(self, **changes: str | None) -> dict[str, str]:
        """Sign the person in and return the tokens."""
        answer = await self.redeem(await self.code(**changes))
        assert answer.status_code == 200, answer.text
        told: dict[str, str] = answer.json()
        return told

    async def refresh(self, token: str, **changes: str | None) -> httpx.Response:
        """Refresh."""
        return await self.token(grant_type="refresh_token", refresh_token=token, **changes)

    async def userinfo(self, access_token: str) -> httpx.Response:
        """Ask who the bearer is."""
        return await self.wire.get("/oauth/userinfo", headers={"Authorization": f"Bearer {access_token}"})

    async def introspect(self, token: str) -> dict[str, object]:
        """Ask what a token is worth."""
        told: dict[str, object] = (await self.post("/oauth/introspect", token=token)).json()
        return told

    async def post(self, path: str, **form: str | None) -> httpx.Response:
        """Send a form with the client's proof."""
        sent = {name: value for name, value in form.items() if value is not None}
        headers = {}
        if self.auth_method == "client_secret_basic":
            headers["Authorization"] = basic(self.client_id, self.secret or "")
        else:
            sent["client_id"] = self.client_id
            if self.secret is not None:
                sent["client_secret"] = self.secret
        return await self.wire.post(path, data=sent, headers=headers)


class Form(HTMLParser):
    """The fields of one form of a page, with what is filled in and picked already."""

    def __init__(self, page: str, action: str):
        """Read `page`."""
        super().__init__()
        self.action = action
        self.inside = False
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what would be sent."""
        told = dict(attrs)
        if tag == "form":
            self.inside = told.get("action") == self.action
        if tag == "input" and self.inside and told.get("name"):
            if told.get("type") in {"radio", "checkbox"} and "checked" not in told:
                return
            self.fields[told["name"] or ""] = told.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        """Leave the form."""
        if tag == "form":
            self.inside = False


def basic(client_id: str, secret: str) -> str:
    """Return the header of HTTP Basic."""
    pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def answer_of(answer: httpx.Response) -> dict[str, str]:
    """Return what the browser carries back to the client."""
    assert answer.status_code == 303, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


async def register(
    units: Units,
    browser: httpx.AsyncClient,
    wire: httpx.AsyncClient,
    *,
    host: str = "lantern.example",
    auth_method: str = "client_secret_basic",
    redirect_uri: str | None = None,
    **facts: object,
) -> RelyingParty:
    """Register a network at `host` with one client."""
    uri = redirect_uri or f"https://{host}/callback"
    async with units.open() as work:
        network = await networks.register(
            work, kind="own", name=host.partition(".")[0].title(), origin=f"https://{host}"
        )
        client, secret = await clients.register(
            work,
            name=network.name,
            network_id=network.id,
            redirect_uris=[uri, *facts.pop("more_uris", [])],
            post_logout_redirect_uris=[f"https://{host}/bye"],
            auth_method=auth_method,
            **facts,
        )
    return RelyingParty(browser, wire, client.client_id, secret, uri, auth_method)
