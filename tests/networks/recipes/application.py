"""What every application does with the cooperative, in the words of its own library; each test says the rest."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlsplit

import httpx

from coop.authorization.onboarding import Onboarded
from tests.protocol.reading import read
from tests.protocol.relying_party import Form

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
PKCE = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}

Claims = dict[str, Any]


@dataclass
class Application:
    """One application, plugged in by its recipe; the browser of one person, and the wire of its server."""

    made: Onboarded
    browser: httpx.AsyncClient
    wire: httpx.AsyncClient
    discovered: Claims = field(default_factory=dict)

    @property
    def client_id(self) -> str:
        """The identifier that its configuration names."""
        return self.made.client.client_id

    @property
    def secret(self) -> str:
        """The secret that its configuration names."""
        return self.made.client_secret or ""

    @property
    def configuration(self) -> str:
        """What its admin pasted."""
        return self.made.configuration

    @property
    def redirect_uri(self) -> str:
        """Where it receives people back."""
        return self.made.client.redirect_uris[0]

    async def discover(self) -> Claims:
        """Read what the provider says of itself."""
        answer = await self.wire.get("/.well-known/openid-configuration")
        assert answer.status_code == 200
        self.discovered = answer.json()
        return self.discovered

    async def send(self, asked: dict[str, str], *, email: bool = True) -> Claims:
        """Send the browser away with a request, agree there if asked, and return what it brings back."""
        answer = await self.browser.get("/oauth/authorize", params=asked)
        if answer.status_code == 200:
            form = Form(answer.text, "/oauth/consent").fields | {"decision": "allow"}
            form.pop("email", None)
            form |= {"email": "yes"} if email else {}
            answer = await self.browser.post("/oauth/consent", data=form)
        assert answer.status_code == 303, answer.text
        location = answer.headers["location"]
        assert location.startswith(asked["redirect_uri"]), location
        # Whatever query the address was registered with is kept, and parsed along.
        return dict(parse_qsl(urlsplit(location).query))

    async def post(self, form: dict[str, str], *, auth: str) -> Claims:
        """Send a form to the token endpoint; `auth` is how: basic, encoded basic, or post."""
        answer = await self.answer(form, auth=auth)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("application/json")
        told: Claims = answer.json()
        assert told["token_type"].lower() == "bearer"
        return told

    async def answer(self, form: dict[str, str], *, auth: str) -> httpx.Response:
        """Send a form to the token endpoint, and return the answer as it is."""
        headers = {"Accept": "application/json"}
        if auth == "post":
            form = form | {"client_id": self.client_id, "client_secret": self.secret}
        else:
            encode = quote_plus if auth == "encoded basic" else str
            pair = f"{encode(self.client_id)}:{encode(self.secret)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return await self.wire.post("/oauth/token", data=form, headers=headers)

    async def verified(self, id_token: str) -> tuple[Claims, Claims]:
        """Return header and claims of an ID Token, checked with the published keys."""
        header, claims = await read(self.wire, id_token)
        return header, claims

    async def userinfo(self, access_token: str) -> Claims:
        """Ask who the bearer is."""
        answer = await self.wire.get("/oauth/userinfo", headers={"Authorization": f"Bearer {access_token}"})
        assert answer.status_code == 200, answer.text
        told: Claims = answer.json()
        return told


def unverified(id_token: str) -> Claims:
    """Return the claims of an ID Token as software reads them that trusts the connection they came by."""
    payload = id_token.split(".")[1]
    claims: Claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
