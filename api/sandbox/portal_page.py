"""The billing portal's page, and the page on which a network finishes its onboarding."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from api.sandbox import fields
from api.sandbox.desk import Desk
from api.sandbox.objects import billing, connect, customers, payment_methods
from api.sandbox.objects.cards import CARDS
from api.sandbox.operations import changed
from api.sandbox.problems import Doc, StripeProblem
from api.sandbox.rendering import headers, page
from api.sandbox.sandbox import Sandbox

Ask = Request[Any, Any, Any]


def _opened(desk: Desk, name: str) -> Doc:
    session = desk.find(name)
    if session is None or session["object"] != "billing_portal.session":
        raise StripeProblem("There is no such page.", status=404)
    desk.follow(session)
    return session


def _show(
    sandbox: Sandbox, desk: Desk, session: Doc, wrong: dict[str, str], given: dict[str, str]
) -> Response[Any]:
    customer = customers.present(desk, session["customer"])
    running = [
        one for one in desk.where("subscription", customer=customer["id"]) if one["status"] in billing.LIVING
    ]
    own = next((one["default_payment_method"] for one in running), None)
    context = {
        "session": session,
        "subscriptions": [(one, billing.period(one)[1]) for one in running],
        "method": desk.find(own or customers.default_method(customer)),
        "wrong": wrong,
        "given": given,
        "cards": CARDS.values(),
    }
    targets = (session["return_url"],) if session["return_url"] else ()
    return page("portal.html", context, base=sandbox.url, status=400 if wrong else 200, targets=targets)


@get("/portal/{name:str}", include_in_schema=False)
async def show(request: Ask, name: FromPath[str]) -> Response[Any]:
    """Show a customer's subscriptions and card."""
    sandbox: Sandbox = request.app.state.sandbox
    return await sandbox.serve(lambda desk: _show(sandbox, desk, _opened(desk, name), {}, {}))


@post("/portal/{name:str}", include_in_schema=False, status_code=200)
async def change(request: Ask, name: FromPath[str]) -> Response[Any]:
    """Stop or resume a subscription, or keep another card."""
    sandbox: Sandbox = request.app.state.sandbox
    given = await fields.posted(request)

    def work(desk: Desk) -> Response[Any]:
        session = _opened(desk, name)
        customer = customers.present(desk, session["customer"])
        if given.get("subscription"):
            one = desk.get("subscription", given["subscription"])
            if one["customer"] != customer["id"] or one["status"] not in billing.LIVING:
                raise StripeProblem("There is no such subscription.", status=404)
            stop = given.get("answer") == "stop"
            asked = {"reason": "cancellation_requested" if stop else None}
            changed(
                desk,
                one,
                {
                    "cancel_at_period_end": stop,
                    "cancel_at": billing.period(one)[1] if stop else None,
                    "canceled_at": desk.now if stop else None,
                    "cancellation_details": one["cancellation_details"] | asked,
                },
                "customer.subscription.updated",
            )
        else:
            card, expiry, wrong = fields.card(given, desk.instant)
            if card is not None and card.behaviour in {"declines", "slow"}:
                wrong["number"] = "This one cannot be kept for later payments. Choose another."
            if card is None or wrong:
                return _show(sandbox, desk, session, wrong, given)
            method = payment_methods.make(desk, card, expiry=expiry)
            payment_methods.attach(desk, method, customer)
            customers.make_default(desk, customer, method)
            for one in desk.where("subscription", customer=customer["id"]):
                if one["status"] in billing.LIVING:
                    fresh = {"default_payment_method": method["id"]}
                    changed(desk, one, fresh, "customer.subscription.updated")
        return Redirect(f"{sandbox.url}/portal/{name}", status_code=303, headers=headers())

    return await sandbox.serve(work)


@get("/onboard/{name:str}", include_in_schema=False)
async def onboarding(request: Ask, name: FromPath[str]) -> Response[Any]:
    """Ask a network whether it wants to finish its onboarding."""
    sandbox: Sandbox = request.app.state.sandbox
    account = await sandbox.serve(lambda desk: desk.get("account", name))
    targets = (account["_return_url"],) if account.get("_return_url") else ()
    return page("onboard.html", {"account": account}, base=sandbox.url, targets=targets)


@post("/onboard/{name:str}", include_in_schema=False, status_code=200)
async def onboard(request: Ask, name: FromPath[str]) -> Response[Any]:
    """Finish the onboarding and lead back."""
    sandbox: Sandbox = request.app.state.sandbox
    await fields.posted(request)
    account = await sandbox.serve(lambda desk: connect.onboard(desk, name))
    back = account.get("_return_url") or f"{sandbox.url}/onboard/{name}"
    return Redirect(back, status_code=303, headers=headers((back,)))


routes = [show, change, onboarding, onboard]
