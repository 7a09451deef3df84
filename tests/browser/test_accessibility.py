"""Every page is examined by axe-core, in both themes, at both widths, and in each language."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import anyio
import httpx
import msgspec
import pytest
import uvicorn
from litestar import Litestar
from playwright.async_api import BrowserContext, Page

from coop import policies
from coop.authorization import consents
from coop.billing.offline import transactions, transfers
from coop.clock import FixedClock
from coop.identity import accounts, sessions
from coop.identity.accounts import Account
from coop.leaving import erasures
from coop.mail import Letter, Mailbox
from coop.money import Money
from coop.networks import aliases, links, networks
from coop.settings import Settings
from coop.sponsorship import gifts
from coop.unit_of_work import Units
from tests import cooperative, people
from tests.leaving.archives import taken
from tests.ledger.trade import three_months
from tests.membership.test_households import accept, invitation
from tests.pages import console, desk

AXE = (Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = {"type": "rule", "values": ["color-contrast"]}
EXAMINE = "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']}).then(r => r.violations.map(v => [v.id, ...v.nodes.map(n => n.html)].join(' ')))"
MEMBERS = [
    "/account",
    "/account/security",
    "/account/sign-outs",
    "/account/payments",
    "/account/networks",
    "/account/stop",
    "/account/record",
    "/account/erase",
    "/account/transfer",
    "/sponsor/transfer",
    "/account/household",
    "/join/organisation",
    "/account/renewal",
    "/account/card",
    "/join",
    "/place",
    "/gifts",
    "/sponsor/organisation",
]
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"

PUBLIC = [
    "/",
    "/sign-in",
    "/sign-up",
    "/recover",
    "/books",
    "/votes",
    "/law",
    "/law/dues",
    "/law/covenant",
    "/sponsor",
    "/sponsors",
    "/networks",
    "/docs/api",
    "/privacy",
    "/transparency",
    "/accessibility",
    "/mailbox",
    "/mailbox/1",
    "/styleguide",
    "/nowhere",
]


@pytest.fixture
def engine_name() -> str:
    """Look at pages on SQLite; they are the same on both engines."""
    return "sqlite"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Give the cooperative a bank account, whose pages are looked at, too."""
    return msgspec.structs.replace(
        settings, bank_account="US64 0000 1234 5678 9012 3456", bank_holder="Commons"
    )


@pytest.fixture
async def origin(app: Litestar, units: Units, clock: FixedClock) -> AsyncIterator[str]:
    """Serve a small cooperative on a free port."""
    await cooperative.found(units)
    async with units.open() as work:
        await networks.register(work, kind="own", name="Meadow", origin="https://meadow.example")
    await Mailbox(units.writer, clock).send(
        Letter(to="ada@example.org", subject="Your receipt", body="See http://127.0.0.1:8000/books", key="1")
    )
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error"))
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listening])
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            async with httpx.AsyncClient() as knocking:
                while True:
                    try:
                        await knocking.get(f"{address}/health")
                        break
                    except httpx.ConnectError:
                        await anyio.lowlevel.checkpoint()
            yield address
            server.should_exit = True


async def examine(tab: Page, rules: object = RULES) -> list[str]:
    """Return what axe-core finds on the page that is open, as it is shown now."""
    # A document is given axe once, however often it is looked at: half a megabyte of script takes as long as the look.
    if not await tab.evaluate("'axe' in window"):
        await tab.evaluate(AXE)
    found: list[str] = await tab.evaluate(EXAMINE, rules)
    return found


async def faults(tab: Page) -> list[str]:
    """Return what axe-core finds on the page that is open, in both themes and at both widths.

    The themes differ in colours only, and translations in how much room their words take.
    """
    english = await tab.get_attribute("html", "lang") == "en"
    found = []
    for width in (1280, 320) if english else (320,):
        await tab.set_viewport_size({"width": width, "height": 900})
        for theme in ("light", "dark") if english else ("light",):
            await tab.emulate_media(color_scheme=theme, reduced_motion="reduce")
            seen = await examine(tab, RULES if theme == "light" else COLOURS)
            found += [f"{theme} {width}: {fault}" for fault in seen]
        if await tab.evaluate(OVERFLOW) > 0:
            found.append(f"{width}: wider than the screen")
    return found


async def test_no_public_page_has_a_fault_that_axe_can_find(tab: Page, origin: str) -> None:
    found = []
    for path in PUBLIC:
        await tab.goto(origin + path)
        found += [f"{path} {fault}" for fault in await faults(tab)]

    assert not found, "\n".join(found)


async def test_books_with_something_in_them_have_no_fault_that_axe_can_find(
    tab: Page, origin: str, units: Units
) -> None:
    await three_months(units)
    found = []
    for path in ("/books", "/books/2026-02"):
        await tab.goto(origin + path)
        found += [f"{path} {fault}" for fault in await faults(tab)]

    assert not found, "\n".join(found)


@pytest.mark.parametrize("language", ["pl", "fr"])
async def test_translated_pages_have_no_faults_and_fit_small_screens(
    context: BrowserContext, origin: str, language: str
) -> None:
    await context.add_cookies([{"name": "locale", "value": language, "url": origin}])
    tab = await context.new_page()
    found = []
    for path in PUBLIC:
        await tab.goto(origin + path)
        assert await tab.get_attribute("html", "lang") == language
        found += [f"{path} {fault}" for fault in await faults(tab)]

    assert not found, "\n".join(found)


@pytest.mark.parametrize("language", ["en", "pl", "fr"])
async def test_the_page_in_an_export_has_no_fault_that_axe_can_find(
    tab: Page, origin: str, units: Units, tmp_path: Path, language: str
) -> None:
    del origin
    ada = await people.register(units, "ada", email="ada@example.org")
    async with units.open() as work:
        for _ in range(2):
            await sessions.begin(
                work, ada, amr=("pwd",), user_agent="A telephone with a long name of its own"
            )
    archive = await taken(units, ada.id, locale=language)
    (tmp_path / "index.html").write_text(archive.page, encoding="utf-8")

    await tab.goto((tmp_path / "index.html").as_uri())

    assert await faults(tab) == []


async def test_a_refused_form_takes_the_focus_to_its_summary_of_errors(tab: Page, origin: str) -> None:
    await tab.goto(f"{origin}/sign-in")
    await tab.click("button.main")

    # The browser moves the focus when it first draws the page, which may be after the navigation is over.
    await tab.wait_for_function("document.activeElement.className === 'error-summary'")
    assert (await tab.title()).startswith("Error:")
    await tab.click(".error-summary a >> nth=0")
    await tab.wait_for_function("document.activeElement.id === 'name'")
    assert await faults(tab) == []


async def test_pages_ask_nobody_else_for_anything(tab: Page, origin: str) -> None:
    asked: list[str] = []
    said: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: said.append(message.text))

    for path in PUBLIC[:-1]:
        await tab.goto(origin + path)

    assert [url for url in asked if not url.startswith(origin)] == []
    assert said == []


async def signed_in(context: BrowserContext, origin: str, units: Units, account: Account) -> Page:
    """Return a tab in which `account` is signed in."""
    async with httpx.AsyncClient() as client:
        await people.signed_in(client, units, account)
        cookies = [{"name": name, "value": value, "url": origin} for name, value in client.cookies.items()]
    await context.add_cookies(cookies)  # type: ignore[arg-type]  # plain dicts are SetCookieParam
    return await context.new_page()


async def test_no_page_of_a_household_has_a_fault_that_axe_can_find(
    context: BrowserContext, origin: str, units: Units
) -> None:
    ada, bob = (
        await people.register(units, "ada", email="ada@example.org"),
        await people.register(units, "bob"),
    )
    await accept(units, bob, await invitation(units, ada))
    async with units.open() as work:
        await transfers.announce(work, ada.id, Money(2500), purpose="household")
    link = f"/household/{await invitation(units, ada)}"
    tab = await signed_in(context, origin, units, ada)
    found = []
    for path in ("/account/household", "/account/household/pay", "/account/transfer", link):
        await tab.goto(origin + path)
        await tab.wait_for_selector("h1")
        found += [f"{path} {fault}" for fault in await faults(tab)]

    assert not found, "\n".join(found)


async def test_no_page_of_a_member_has_a_fault_that_axe_can_find(
    context: BrowserContext, origin: str, units: Units
) -> None:
    account = await people.register(units, "ada", email="ada@example.org")
    async with units.open() as work:
        meadow = await networks.by_slug(work, "meadow")
        await links.link(work, meadow.id, account.id)
        await aliases.choose(work, meadow.id, account.id, "quiet_heron101")
        waiting = await gifts.buy(
            work, account.id, gift_id=uuid4(), dues=await policies.in_force(work, policies.Dues)
        )
        for purpose in transfers.PURPOSES:
            if purpose != "household":
                await transfers.announce(work, account.id, Money(2500), purpose=purpose)
    link = f"/gift/{gifts.code(units.settings, waiting.id)}"
    tab = await signed_in(context, origin, units, account)
    found = []
    for path in (*MEMBERS, f"/gifts/{waiting.id}/card", f"/gifts/{waiting.id}/back", link):
        await tab.goto(origin + path)
        assert await tab.inner_text("nav >> text=Your account") == "Your account"
        found += [f"{path} {fault}" for fault in await faults(tab)]
    async with units.open() as work:
        await erasures.ask(work, account.id)
    for path in ("/account", "/account/erase"):
        await tab.goto(origin + path)
        assert "will be erased on" in await tab.inner_text("main")
        found += [f"{path} before an erasure: {fault}" for fault in await faults(tab)]

    assert not found, "\n".join(found)


@pytest.mark.parametrize("language", ["en", "pl", "fr"])
async def test_no_page_of_a_network_s_console_has_a_fault_that_axe_can_find(
    context: BrowserContext, origin: str, units: Units, language: str
) -> None:
    account = await people.register(units, "robin", email="robin@example.org")
    async with units.open() as work:
        (await accounts.hold(work, account.id)).display_name = "Robin"
    lagoon = await console.plugged_in(units, account, name="Lagoon", webhook=True)
    await console.appoint(units, account)
    await console.delivered(units, lagoon.network.id, 204, 302, 404, 503, None)
    async with units.open() as work:
        wanted = ("openid", "profile", "email")
        choice = {"name": "quiet_heron101", "shares_email": False, "shares_display_name": True}
        await consents.give(work, lagoon.client, account, wanted=wanted, **choice)
    async with httpx.AsyncClient() as client:
        await people.signed_in(client, units, account)
        cookies = [{"name": name, "value": value, "url": origin} for name, value in client.cookies.items()]
    cookies.append({"name": "locale", "value": language, "url": origin})
    await context.add_cookies(cookies)  # type: ignore[arg-type]  # plain dicts are SetCookieParam
    tab = await context.new_page()
    below = ("", "/name", "/webhook", "/deliveries", "/configuration", f"/clients/{lagoon.client.client_id}")
    found = []
    for path in (
        *(lagoon.path + page for page in below),
        "/networks/add",
        "/account/networks",
        f"/account/networks/{lagoon.client.client_id}",
    ):
        answer = await tab.goto(origin + path)
        assert answer is not None
        assert answer.ok
        found += [f"{path} {fault}" for fault in await faults(tab)]
    for path in ("/webhook", f"/clients/{lagoon.client.client_id}"):
        await tab.goto(origin + lagoon.path + path)
        await tab.click("form[action$='/secret'] button")
        await tab.wait_for_selector("pre")
        found += [f"{path}/secret {fault}" for fault in await faults(tab)]

    assert not found, "\n".join(found)


@pytest.mark.parametrize("language", ["en", "pl", "fr"])
async def test_no_page_of_the_steward_s_desk_has_a_fault_that_axe_can_find(
    context: BrowserContext, origin: str, units: Units, language: str
) -> None:
    ada = await people.register(units, "ada", email="ada@example.org")
    tess = await people.register(units, "tess", email="tess@example.org")
    await desk.treasurer(units, tess)
    await desk.laid(units, tess, ada)
    async with units.read() as work:
        stray = (await transactions.unmatched(work))[0].id
    async with httpx.AsyncClient() as client:
        await people.signed_in(client, units, tess)
        cookies = [{"name": name, "value": value, "url": origin} for name, value in client.cookies.items()]
    cookies.append({"name": "locale", "value": language, "url": origin})
    await context.add_cookies(cookies)  # type: ignore[arg-type]  # plain dicts are SetCookieParam
    tab = await context.new_page()
    found = []
    below = (
        *("", "/member", "/payments", f"/payments/{stray}", "/sending", "/refunds", "/disputes"),
        *("/differences", "/proposals", "/cash", "/statement", "/vat", "/entry"),
    )
    for path in below:
        answer = await tab.goto(f"{origin}/steward{path}")
        assert answer is not None
        assert answer.ok
        found += [f"{path} {fault}" for fault in await faults(tab)]
    await tab.goto(f"{origin}/steward/member")
    await tab.fill("#handle", "ada")
    await tab.fill("#reason", "She asked for help")
    await tab.click("button.main")
    await tab.wait_for_function("document.querySelector('h1').textContent.trim() === 'ada'")
    found += [f"record {fault}" for fault in await faults(tab)]

    assert not found, "\n".join(found)
