"""The sandbox inside another application, across a restart, and from a browser without JavaScript."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import stripe
from litestar import Litestar, asgi, get

from api.sandbox import Sandbox, Terms, create_sandbox
from coop.clock import FixedClock
from tests.sandbox.conftest import KEY, served


@get("/")
async def home() -> str:
    return "home"


def mounted(clock: FixedClock, url: str, made: list[Sandbox]) -> Litestar:
    inner = create_sandbox(url=f"{url}/sandbox", clock=clock.wall, terms=Terms(balance_delay=0))
    made.append(inner.state.sandbox)
    return Litestar(
        [home, asgi("/sandbox", is_mount=True, copy_scope=True)(inner)],
        lifespan=[lambda _: inner.lifespan()],
        openapi_config=None,
    )


async def test_it_lives_under_a_path_of_another_application() -> None:
    made: list[Sandbox] = []
    clock = FixedClock(datetime(2027, 3, 15, tzinfo=UTC))
    async with (
        served(lambda url: mounted(clock, url, made)) as url,
        httpx.AsyncClient(trust_env=False) as browser,
    ):
        http = stripe.AIOHTTPClient()
        client = stripe.StripeClient(KEY, base_addresses={"api": f"{url}/sandbox"}, http_client=http)
        customer = await client.v1.customers.create_async({"name": "a"})
        assert (await client.v1.customers.retrieve_async(customer.id)).name == "a"
        data: Any = {"currency": "usd", "unit_amount": 2500, "product_data": {"name": "Year"}}
        session = await client.v1.checkout.sessions.create_async(
            {
                "mode": "payment",
                "success_url": f"{url}/?{{CHECKOUT_SESSION_ID}}",
                "line_items": [{"price_data": data, "quantity": 1}],
            }
        )
        assert session.url == f"{url}/sandbox/pay/{session.id}"
        shown = await browser.get(session.url)
        assert f'href="{url}/sandbox/sandbox.css"' in shown.text
        assert (
            (await browser.get(f"{url}/sandbox/sandbox.css")).headers["content-type"].startswith("text/css")
        )
        paid = await browser.post(
            session.url, data={"number": "4242424242424242", "expiry": "12/34", "cvc": "123"}
        )
        assert paid.headers["location"] == f"{url}/?{session.id}"
        assert (await browser.get(paid.headers["location"])).text == "home"
        assert (await browser.get(f"{url}/sandbox/faults")).status_code == 200
        nowhere = await browser.get(f"{url}/sandbox/nowhere")
        assert (nowhere.status_code, "There is nothing here." in nowhere.text) == (404, True)
        await http.close_async()


async def test_a_restart_keeps_customers_subscriptions_and_what_is_due(tmp_path: Path) -> None:
    clock = FixedClock(datetime(2027, 3, 15, tzinfo=UTC))

    def opened() -> Litestar:
        return create_sandbox(
            url="http://sandbox.test", clock=clock.wall, path=tmp_path / "sandbox.db", background=False
        )

    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"}

    async def ask(app: Litestar, method: str, path: str, body: str = "") -> dict[str, Any]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            answer = await client.request(
                method, f"http://sandbox.test/v1/{path}", content=body, headers=headers
            )
            found: dict[str, Any] = answer.json()
            return found

    before = opened()
    customer = await ask(
        before,
        "POST",
        "customers",
        "payment_method=pm_card_visa&invoice_settings[default_payment_method]=pm_card_visa",
    )
    product = await ask(before, "POST", "products", "name=Year")
    price = await ask(
        before,
        "POST",
        "prices",
        f"product={product['id']}&currency=usd&unit_amount=2500&recurring[interval]=year",
    )
    subscription = await ask(
        before, "POST", "subscriptions", f"customer={customer['id']}&items[0][price]={price['id']}"
    )
    before.state.sandbox.close()

    clock.advance(timedelta(days=367))
    after = opened()
    await after.state.sandbox.settle()
    invoices = await ask(after, "GET", f"invoices?subscription={subscription['id']}&status=paid")
    assert len(invoices["data"]) == 2
    after.state.sandbox.close()
