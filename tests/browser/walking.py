"""What people do on the way through the demo, a page at a time, and what a network is told of them."""

import base64
import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio
import httpx
from playwright.async_api import BrowserContext, Page, Request, Response, expect

from tests.demo import Demo

PASSWORD = "violet tram under seven bridges"
WORKS, DECLINED, ASKS = "4242 4242 4242 4242", "4000 0000 0000 0002", "4000 0025 0000 3155"
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass
class Trail:
    """Where a browser has been: every address it asked, and the pages of the cooperative that it showed."""

    demo: Demo
    asked: set[str] = field(default_factory=set)
    pages: list[str] = field(default_factory=list)

    def follow(self, context: BrowserContext) -> "Trail":
        """Write down where `context` goes from now on."""
        context.on("request", self._ask)
        context.on("response", self._show)
        return self

    @property
    def strangers(self) -> set[str]:
        """Return the origins that are neither the cooperative's nor a network's."""
        return {origin(url) for url in self.asked} - {self.demo.issuer, *self.demo.networks}

    def _ask(self, request: Request) -> None:
        self.asked.add(request.url)

    def _show(self, response: Response) -> None:
        path = urlsplit(response.url).path
        ours = origin(response.url) == self.demo.issuer and not path.startswith("/sandbox/")
        if ours and response.ok and response.request.is_navigation_request():
            self.pages.append(path)


def origin(url: str) -> str:
    """Return the origin of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


async def sign_up(tab: Page, handle: str) -> None:
    """Fill in the first page of joining."""
    await tab.fill("#handle", handle)
    await tab.fill("#email", f"{handle}@people.example")
    await tab.fill("#password", PASSWORD)
    await tab.get_by_role("button", name="Go on", exact=True).click()
    await expect(tab.get_by_role("heading", level=1)).to_have_text("Choose what to pay")


async def sign_in(tab: Page, demo: Demo, handle: str, path: str = "/account") -> None:
    """Sign in as one of the demo's people."""
    await tab.goto(f"{demo.issuer}/sign-in?next={path}")
    await tab.fill("#name", handle)
    await tab.fill("#password", demo.manifest["members"][0]["password"])
    await tab.get_by_role("button", name="Sign in", exact=True).click()
    await tab.wait_for_url(f"{demo.issuer}{path}")


async def choose(tab: Page, amount: str) -> None:
    """Choose what to pay and go on."""
    await tab.locator("label").filter(has=tab.get_by_text(amount, exact=True)).get_by_role("radio").check()
    await tab.get_by_role("button", name="Go on", exact=True).click()


async def enter(tab: Page, card: str) -> None:
    """Enter a card on the hosted page."""
    await tab.fill("#number", card)
    await tab.fill("#expiry", "12 / 34")
    await tab.fill("#cvc", "123")
    await tab.get_by_role("button", name="Pay").click()


async def facts(tab: Page) -> dict[str, str]:
    """Return the list of facts of a page."""
    names = await tab.locator("dl dt").all_inner_texts()
    return dict(zip(names, await tab.locator("dl dd").all_inner_texts(), strict=True))


async def reload_until(tab: Page, holds: Callable[[], Awaitable[bool]]) -> None:
    """Look again until the worker has done what is due, which takes it a second or two."""
    with anyio.fail_after(90):
        while not await holds():
            # What is waited for needs the processor more than the page does.
            await tab.wait_for_timeout(200)
            await tab.reload()


async def letter(tab: Page, demo: Demo, to: str, subject: str) -> str:
    """Open the newest letter with this subject in the mailbox, and return its text."""
    await tab.goto(f"{demo.manifest['mailbox_url']}?to={to}@people.example")
    link = tab.get_by_role("link", name=subject)

    async def arrived() -> bool:
        return await link.count() > 0

    await reload_until(tab, arrived)
    await link.first.click()
    return await tab.inner_text(".letter")


@dataclass(frozen=True)
class Told:
    """What a network is told of a person, in both ways in which it can ask."""

    userinfo: dict[str, object]
    introspection: dict[str, object]

    @property
    def shape(self) -> dict[str, object]:
        """Return all but what names the person or the moment; lengths stand for names."""
        told = {
            **self.userinfo,
            **{f"token {name}": value for name, value in self.introspection.items()},
        }
        named = {"sub", "token sub", "token jti"}
        times = {"token iat", "token exp", "token auth_time", "token nbf"}
        return {
            name: len(str(value)) if name in named else type(value) if name in times else value
            for name, value in told.items()
            if name not in {"preferred_username", "token username"}
        }


async def told(tab: Page, demo: Demo, index: int = 0) -> Told:
    """Sign the browser in to a network once more, and return what its server learns by that."""
    client = demo.manifest["clients"][index]
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": client["client_id"],
        # The sample network has nothing there, so that the code is left to us.
        "redirect_uri": client["redirect_uris"][1],
        "scope": "openid profile",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    await tab.goto(f"{demo.issuer}/oauth/authorize?{urlencode(asked)}")
    (code,) = parse_qs(urlsplit(tab.url).query)["code"]
    async with httpx.AsyncClient(base_url=demo.issuer) as server:
        proof = (client["client_id"], client["client_secret"])
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client["redirect_uris"][1],
            "code_verifier": verifier,
        }
        token = (await server.post("/oauth/token", data=form, auth=proof)).raise_for_status().json()
        bearer = {"Authorization": f"Bearer {token['access_token']}"}
        userinfo = (await server.get("/oauth/userinfo", headers=bearer)).raise_for_status()
        worth = await server.post("/oauth/introspect", data={"token": token["access_token"]}, auth=proof)
    return Told(userinfo=userinfo.json(), introspection=json.loads(worth.raise_for_status().text))
