"""Apache with mod_auth_openidc, as Debian ships it, configured by our recipe: a page that only members read."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from coop.authorization import consents
from coop.authorization.onboarding import onboard
from tests.applications import httpd
from tests.applications.conftest import LONGEST_LAPSE, Stopwatch
from tests.applications.person import Person
from tests.networks.recipes.configurations import blocks
from tests.postgres import free_port
from tests.service import Service

pytestmark = pytest.mark.applications


@dataclass
class Site:
    """A site behind mod_auth_openidc."""

    origin: str
    errors: Path

    @property
    def page(self) -> str:
        """Return the address that only members get to see."""
        return f"{self.origin}/members/page.txt"


@pytest.fixture
async def site(service: Service) -> AsyncIterator[Site]:
    """Register a network and serve its site by Apache."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    async with service.units.open() as work:
        made = await onboard(work, kind="mod_auth_openidc", name="Lantern", origin=origin)
    # As an administrator pastes it.
    (configuration,) = blocks(made.configuration, "apache")
    async with httpd.running(port, configuration) as errors:
        yield Site(origin, errors)


async def signed_out(site: Site, person: Person) -> bool:
    """Tell whether the site asks who that is."""
    page = await person.browser.get(site.page)
    return str(page.url).startswith(person.service.issuer)


async def refused(site: Site, person: Person) -> bool:
    """Tell whether the site knows them, and lets them in no more."""
    return (await person.browser.get(site.page)).status_code == httpx.codes.FORBIDDEN


async def test_only_members_read_the_page(site: Site, ada: Person) -> None:
    refused = await ada.open(site.page)
    assert refused.status_code == httpx.codes.FORBIDDEN
    assert httpd.SECRET_PAGE not in refused.text

    await ada.become_member()
    ada.browser.cookies.delete("mod_auth_openidc_session")
    welcome = await ada.open(site.page)

    assert (welcome.status_code, welcome.text) == (httpx.codes.OK, httpd.SECRET_PAGE)
    # It warns of a key whose algorithm it does not know, and goes on to the next.
    assert "auth_openidc:error" not in site.errors.read_text()


async def test_who_becomes_a_member_is_let_in_without_signing_in_again(
    site: Site, ada: Person, stopwatch: Stopwatch
) -> None:
    assert (await ada.open(site.page)).status_code == httpx.codes.FORBIDDEN
    await ada.become_member()

    async def let_in() -> bool:
        return (await ada.browser.get(site.page)).status_code == httpx.codes.OK

    assert await stopwatch.until(let_in, "a new member was let in") < LONGEST_LAPSE


async def test_a_lapsed_member_is_refused_within_a_minute(
    site: Site, ada: Person, stopwatch: Stopwatch
) -> None:
    await ada.become_member()
    assert (await ada.open(site.page)).status_code == httpx.codes.OK
    await ada.stop_being_member()

    told = "a lapsed member was refused"
    assert await stopwatch.until(lambda: refused(site, ada), told) < LONGEST_LAPSE


async def test_whose_consent_is_withdrawn_is_signed_out_within_a_minute(
    site: Site, ada: Person, stopwatch: Stopwatch
) -> None:
    await ada.become_member()
    assert (await ada.open(site.page)).status_code == httpx.codes.OK
    async with ada.service.units.open() as work:
        [(client, _)] = await consents.of_account(work, ada.account.id)
        await consents.withdraw(work, client, ada.account.id)

    told = "who withdrew consent was signed out"
    assert await stopwatch.until(lambda: signed_out(site, ada), told) < LONGEST_LAPSE


async def test_a_sign_out_at_the_cooperative_reaches_the_site(
    site: Site, ada: Person, stopwatch: Stopwatch
) -> None:
    await ada.become_member()
    assert (await ada.open(site.page)).status_code == httpx.codes.OK
    await ada.sign_out()

    assert await stopwatch.until(lambda: signed_out(site, ada), "a sign-out arrived") < LONGEST_LAPSE / 4
