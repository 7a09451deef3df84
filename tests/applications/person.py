"""Somebody in front of a browser: follows redirects, signs in and agrees where the cooperative asks."""

from dataclasses import dataclass

import httpx

from coop import policies
from coop.identity.accounts import Account
from coop.membership import terms
from coop.policies import Dues
from tests import people
from tests.protocol.relying_party import Form
from tests.service import Service

MOST_FORMS = 4


class Loopback(httpx.AsyncHTTPTransport):
    """The way to servers on this machine, which browsers count as secure: cookies for https only go there as well."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Take the condition off the cookies that come back."""
        answer = await super().handle_async_request(request)
        answer.headers = httpx.Headers(
            [
                (name, value.replace("; Secure", "") if name.lower() == "set-cookie" else value)
                for name, value in answer.headers.multi_items()
            ]
        )
        return answer


@dataclass
class Person:
    """An account and its browser."""

    service: Service
    account: Account
    browser: httpx.AsyncClient

    async def open(self, url: str) -> httpx.Response:
        """Go to `url` and wherever it leads, filling in the cooperative's forms on the way."""
        answers = {
            "/sign-in": {"name": self.account.handle, "password": people.PASSWORD},
            "/oauth/consent": {"decision": "allow"},
        }
        page = await self.browser.get(url)
        for _ in range(MOST_FORMS):
            if not str(page.url).startswith(self.service.issuer):
                return page
            action = next((a for a in answers if f'action="{a}"' in page.text), None)
            assert action is not None, f"stuck at {page.url} with status {page.status_code}"
            form = Form(page.text, action).fields | answers[action]
            page = await self.browser.post(f"{self.service.issuer}{action}", data=form)
        raise AssertionError("The cooperative asks without end.")

    async def become_member(self) -> None:
        """Begin a year of membership."""
        async with self.service.units.open() as work:
            await terms.begin(work, self.account.id, dues=await policies.in_force(work, Dues))

    async def stop_being_member(self) -> None:
        """End the membership at once, as a withdrawal does."""
        async with self.service.units.open() as work:
            term = await terms.current(work, self.account.id)
            assert term is not None
            await terms.end_early(work, term.id)

    async def sign_out(self) -> None:
        """Press the button on the cooperative's own page."""
        answer = await self.browser.post(f"{self.service.issuer}/sign-out")
        assert answer.status_code == httpx.codes.OK
