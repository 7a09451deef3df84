"""The whole path, as a newcomer walks it: join, pay, agree, sponsor, vote, read the books."""

import re
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import date
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import keep
from tests.browser.walking import (
    ASKS,
    DECLINED,
    OVERFLOW,
    WORKS,
    Trail,
    choose,
    enter,
    facts,
    letter,
    reload_until,
    sign_in,
    sign_up,
    told,
)
from tests.demo import ROOT, Demo

PICTURE = ROOT / "docs" / "pictures" / "join.png"
Visitor = Callable[..., Coroutine[object, object, Page]]


@pytest.fixture
async def visitor(browser: Browser) -> AsyncIterator[Visitor]:
    """Give a browser profile for each person who comes by."""
    made: list[BrowserContext] = []

    async def come(trail: Trail, *, scripts: bool = True) -> Page:
        context = await browser.new_context(
            locale="en-GB",
            viewport={"width": 1280, "height": 900},
            java_script_enabled=scripts,
            color_scheme="light",
        )
        context.set_default_timeout(30_000)
        made.append(context)
        trail.follow(context)
        return await context.new_page()

    yield come
    for context in made:
        await context.close()


async def heading(tab: Page, text: str | re.Pattern[str]) -> None:
    """Wait for the page with this title."""
    await expect(tab.get_by_role("heading", level=1)).to_have_text(text, timeout=30_000)


async def join(tab: Page, demo: Demo, handle: str, picture: Path | None = None) -> dict[str, str]:
    """Join on the first network with two cards that do not pay at once; return what the consent page said."""
    await tab.goto(demo.networks[0])
    await keep(tab, "walk-01-network")
    await tab.get_by_role("link", name="Join").click()
    await keep(tab, "walk-02-sign-up")
    await sign_up(tab, handle)
    await keep(tab, "walk-03-choose-what-to-pay")
    if picture is not None:
        await tab.screenshot(path=picture)
    await choose(tab, "$25")
    await enter(tab, DECLINED)
    await expect(tab.get_by_role("alert")).to_contain_text("Your card was declined.")
    await keep(tab, "walk-04-declined")
    await enter(tab, ASKS)
    await heading(tab, "Is this you?")
    await keep(tab, "walk-05-bank-asks")
    await tab.get_by_role("button", name="Yes, confirm").click()
    await heading(tab, "What Riverside will know")
    await keep(tab, "walk-06-consent")
    shown = await facts(tab)
    shown["name"] = await tab.locator("input[name=alias]:checked").get_attribute("value") or ""
    await tab.get_by_role("button", name="Agree and go on").click()
    await tab.wait_for_url(f"{demo.networks[0]}/members")
    await expect(tab.get_by_text("This page opens for members")).to_be_visible()
    await keep(tab, "walk-07-members-only")
    return shown


def month(day: object) -> str:
    """Return the end of a membership as the consent page writes it."""
    ends = date.fromisoformat(str(day))
    return f"active, until {ends.day} {ends:%B %Y}"


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Path | None:
    """Return where the README's picture is, if it is to be taken anew."""
    return PICTURE if request.config.getoption("--pictures") else None


async def test_a_newcomer_walks_the_whole_path(
    own_demo: Demo, visitor: Visitor, picture: Path | None
) -> None:
    demo, trail = own_demo, Trail(own_demo)
    nova = await visitor(trail)

    # Join: at most three pages of ours, and the consent page shows the very values.
    shown = await join(nova, demo, "nova", picture)
    assert sorted(set(trail.pages)) == ["/join", "/oauth/authorize", "/sign-up"]
    assert len(trail.pages) == 3
    known = await told(nova, demo)
    assert known.userinfo == {
        "sub": shown["Identifier"],
        "preferred_username": shown["name"],
        "membership": "active",
        "membership_until": known.userinfo["membership_until"],
        "groups": [shown["Groups"]],
        "entitlements": [shown["Entitlements"]],
    }
    assert shown["Membership"] == month(known.userinfo["membership_until"])

    # The receipt lies in the mailbox, and the standing is on one's own page.
    assert "received $25.00 from you" in await letter(nova, demo, "nova", "You are a member of")
    await keep(nova, "walk-08-receipt")
    await nova.goto(f"{demo.issuer}/account")
    standing = await facts(nova)
    assert (standing["Standing"], standing["Price of your year"]) == ("Member", "$25")
    await keep(nova, "walk-09-account")

    # A second network knows the same person under another subject and another alias.
    await nova.goto(demo.networks[1])
    await nova.get_by_role("link", name="Sign in").click()
    await heading(nova, "What The Orchard will know")
    await nova.get_by_role("button", name="Agree and go on").click()
    await nova.wait_for_url(f"{demo.networks[1]}/members")
    elsewhere = await told(nova, demo, 1)
    assert elsewhere.userinfo["sub"] != known.userinfo["sub"]
    assert elsewhere.userinfo["preferred_username"] != known.userinfo["preferred_username"]
    await nova.goto(f"{demo.issuer}/account/networks")
    await keep(nova, "walk-10-networks")

    await sponsor(nova, await ask_for_a_place(visitor, trail, demo), demo)
    await vote(visitor, trail, demo)

    # The years that had begun keep their price.
    await nova.goto(f"{demo.issuer}/account")
    assert (await facts(nova))["Price of your year"] == "$25"

    # The books show the ledger's totals, and every check of them holds.
    await nova.goto(f"{demo.issuer}/books")
    await keep(nova, "walk-20-books")
    sums = demo.books()["sums"]
    minor = sum(amount for name, amount in sums.items() if name.startswith("Assets:"))
    where = nova.get_by_role("table", name="Where the money is")
    await expect(where.get_by_role("row", name="Together")).to_contain_text(f"${minor / 100:,.2f}")

    assert trail.strangers == set()


async def ask_for_a_place(visitor: Visitor, trail: Trail, demo: Demo) -> Page:
    """Ask for a sponsored place with a second account, and wait in the queue with nothing charged."""
    orla = await visitor(trail)
    await orla.goto(demo.networks[0])
    await orla.get_by_role("link", name="Join").click()
    await sign_up(orla, "orla")
    confirm = re.search(r"http://\S+", await letter(orla, demo, "orla", "Confirm your e-mail address"))
    assert confirm is not None
    await orla.goto(confirm[0])
    await orla.locator("main").get_by_role("button").first.click()
    await heading(orla, "Your e-mail address is confirmed")
    await orla.goto(demo.networks[0])
    await orla.get_by_role("link", name="Join").click()
    await choose(orla, "Nothing now")
    await heading(orla, "Your place in the queue")
    await keep(orla, "walk-11-queue")
    assert (await facts(orla))["You pay"] == "$0"
    await orla.goto(f"{demo.issuer}/account/payments")
    await expect(orla.get_by_role("main")).not_to_contain_text("$25")
    return orla


async def sponsor(nova: Page, orla: Page, demo: Demo) -> None:
    """Pay two places as the first account; the second becomes a member like any other."""
    await nova.goto(f"{demo.issuer}/sponsor")
    await keep(nova, "walk-12-sponsor")
    await choose(nova, "$50")
    await enter(nova, WORKS)
    await expect(nova.get_by_role("main")).to_contain_text("We received $50")
    await keep(nova, "walk-13-sponsored")
    await orla.goto(f"{demo.issuer}/account")

    async def begun() -> bool:
        return (await facts(orla)).get("Standing") == "Member"

    await reload_until(orla, begun)
    await keep(orla, "walk-14-member")
    await orla.goto(demo.networks[0])
    await orla.get_by_role("link", name="Sign in").click()
    await orla.get_by_role("button", name="Agree and go on").click()
    await orla.wait_for_url(f"{demo.networks[0]}/members")
    # Whoever paid and whoever was given a place look the same to the network.
    assert (await told(orla, demo)).shape == (await told(nova, demo)).shape


async def vote(visitor: Visitor, trail: Trail, demo: Demo) -> None:
    """Vote on the price, let time pass, and find the new one on the join page with its source."""
    farah = await visitor(trail)
    await sign_in(farah, demo, "farah", "/votes")
    await farah.get_by_role("link", name="Raise the dues to $27 a year").click()
    await heading(farah, "Raise the dues to $27 a year")
    await keep(farah, "walk-15-motion")
    await farah.get_by_role("radio", name="Yes").check()
    await farah.get_by_role("button", name="Check your vote").click()
    await heading(farah, "Check your vote")
    await keep(farah, "walk-16-check")
    await farah.get_by_role("button", name="Cast my vote").click()
    await expect(farah.get_by_role("main")).to_contain_text("Your vote is counted")
    moved = demo.coop("clock", "advance", "5w")
    assert moved.returncode == 0, moved.stderr
    marta = await visitor(trail)
    await sign_in(marta, demo, "marta", "/join")

    async def executed() -> bool:
        return await marta.get_by_text("A year costs $27").count() > 0

    await reload_until(marta, executed)
    source = marta.get_by_role("main").get_by_role("link", name="Raise the dues to $27 a year")
    await expect(source).to_be_visible()
    await keep(marta, "walk-17-new-price")
    await source.click()
    await expect(marta.get_by_role("main")).to_contain_text("Raise the dues to $27 a year")
    await keep(marta, "walk-18-result")


async def test_joining_needs_no_script(demo: Demo, visitor: Visitor) -> None:
    trail = Trail(demo)
    tab = await visitor(trail, scripts=False)

    shown = await join(tab, demo, "perla")

    known = await told(tab, demo)
    assert known.userinfo["sub"] == shown["Identifier"]
    assert trail.strangers == set()


PUBLIC = [
    "/",
    "/sign-in",
    "/sign-up",
    "/books",
    "/law",
    "/law/dues",
    "/votes",
    "/networks",
    "/sponsor",
    "/mailbox",
]
MEMBERS = [
    "/account",
    "/account/payments",
    "/account/security",
    "/account/networks",
    "/join",
    "/place",
    "/gifts",
]


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_page_fits_small_and_large_screens(demo: Demo, browser: Browser, theme: str) -> None:
    context = await browser.new_context(locale="en-GB", color_scheme=theme)
    tab = await context.new_page()
    await sign_in(tab, demo, "farah")
    wide: list[str] = []
    for path in [*PUBLIC, *MEMBERS]:
        shown = await tab.goto(demo.issuer + path)
        assert shown is not None
        assert shown.ok, path
        for width in (320, 1280):
            await tab.set_viewport_size({"width": width, "height": 900})
            await keep(tab, f"page{path.replace('/', '-').rstrip('-')}-{theme}-{width}")
            if await tab.evaluate(OVERFLOW) > 0:
                wide.append(f"{path} at {width}")
    await context.close()

    assert wide == []
