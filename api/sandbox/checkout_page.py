"""The hosted checkout page: a card is entered, confirmed if the bank asks, and the person goes back."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from api.sandbox import fields
from api.sandbox.desk import Desk
from api.sandbox.objects import completion, payment_methods
from api.sandbox.objects.cards import CARDS
from api.sandbox.objects.completion import Outcome
from api.sandbox.problems import Doc, StripeProblem
from api.sandbox.rendering import headers, page
from api.sandbox.sandbox import Sandbox

Ask = Request[Any, Any, Any]
_INTENTS = {"payment_intent", "setup_intent"}


def _session(desk: Desk, name: str) -> Doc:
    session = desk.find(name)
    if session is None or session["object"] != "checkout.session":
        raise StripeProblem("There is no such checkout.", status=404)
    desk.follow(session)
    return session


def _way_back(session: Doc) -> str:
    address: str = session["success_url"]
    return address.replace("{CHECKOUT_SESSION_ID}", session["id"])


def _targets(session: Doc | None) -> tuple[str, ...]:
    if session is None:
        return ()
    return tuple(address for address in (session["success_url"], session["cancel_url"]) if address)


def _show(
    sandbox: Sandbox,
    session: Doc,
    *,
    refused: str | None = None,
    wrong: dict[str, str] | None = None,
    given: dict[str, str] | None = None,
) -> Response[str]:
    status = 200
    if refused or wrong:
        status = 402 if refused else 400
    context = {
        "session": session,
        "items": session["_items"],
        "refused": refused,
        "wrong": wrong or {},
        "given": given or {},
        "cards": CARDS.values(),
    }
    return page("pay.html", context, base=sandbox.url, status=status, targets=_targets(session))


@get("/pay/{name:str}", include_in_schema=False)
async def show(request: Ask, name: FromPath[str]) -> Response[Any]:
    """Show what is to be paid, and ask for a card."""
    sandbox: Sandbox = request.app.state.sandbox
    session = await sandbox.serve(lambda desk: _session(desk, name))
    if session["status"] == "complete":
        return _go(_way_back(session), _targets(session))
    if session["status"] == "expired":
        context = {
            "message": "This checkout has expired. Nothing was charged.",
            "back": session["cancel_url"],
        }
        return page("closed.html", context, base=sandbox.url, status=410)
    return _show(sandbox, session)


@post("/pay/{name:str}", include_in_schema=False, status_code=200)
async def pay(request: Ask, name: FromPath[str]) -> Response[Any]:
    """Take the card and do what the session asks."""
    sandbox: Sandbox = request.app.state.sandbox
    given = await fields.posted(request)

    def work(desk: Desk) -> Response[Any]:
        session = _session(desk, name)
        if session["status"] != "open":
            # A double click: the first one has done it.
            return _go(f"{sandbox.url}/pay/{name}", ())
        card, expiry, wrong = fields.card(given, desk.instant)
        if card is None or wrong:
            return _show(sandbox, session, wrong=wrong, given=given)
        billing = {"name": given.get("name") or None, "email": session["customer_email"]}
        method = payment_methods.make(desk, card, {"billing_details": billing}, expiry=expiry)
        outcome = completion.submit(desk, session, method)
        return _next(sandbox, _session(desk, name), outcome, given)

    return await sandbox.serve(work)


def _next(sandbox: Sandbox, session: Doc | None, outcome: Outcome, given: dict[str, str]) -> Response[Any]:
    if outcome.confirm:
        return _go(f"{sandbox.url}/authenticate/{outcome.confirm}", _targets(session))
    if session is None:
        context = {"message": outcome.refused or "Confirmed. You may close this page.", "back": None}
        return page("closed.html", context, base=sandbox.url)
    if outcome.refused:
        return _show(sandbox, session, refused=outcome.refused, given=given)
    return _go(_way_back(session), _targets(session))


def _go(address: str, targets: tuple[str, ...]) -> Redirect:
    return Redirect(address, status_code=303, headers=headers(targets))


def _intent(desk: Desk, name: str) -> Doc:
    intent = desk.find(name)
    if intent is None or intent["object"] not in _INTENTS:
        raise StripeProblem("There is no such payment.", status=404)
    desk.follow(intent)
    return intent


@get("/authenticate/{name:str}", include_in_schema=False)
async def ask(request: Ask, name: FromPath[str]) -> Response[Any]:
    """Ask, as the bank would, whether it was you."""
    sandbox: Sandbox = request.app.state.sandbox

    def work(desk: Desk) -> Response[Any]:
        intent = _intent(desk, name)
        session = desk.find(intent.get("_session"))
        if intent["status"] != "requires_action":
            if session is not None:
                return _go(f"{sandbox.url}/pay/{session['id']}", ())
            context = {"message": "There is nothing to confirm any more.", "back": None}
            return page("closed.html", context, base=sandbox.url, status=410)
        targets = _targets(session) + ((intent["_return_url"],) if intent.get("_return_url") else ())
        return page("confirm.html", {"intent": intent}, base=sandbox.url, targets=targets)

    return await sandbox.serve(work)


@post("/authenticate/{name:str}", include_in_schema=False, status_code=200)
async def confirm(request: Ask, name: FromPath[str]) -> Response[Any]:
    """Go on with the payment, or give it up."""
    sandbox: Sandbox = request.app.state.sandbox
    given = await fields.posted(request)

    def work(desk: Desk) -> Response[Any]:
        intent = _intent(desk, name)
        if intent["status"] != "requires_action":
            return _go(f"{sandbox.url}/authenticate/{name}", ())
        outcome = completion.finish(desk, intent, confirmed=given.get("answer") == "confirm")
        session = desk.find(intent.get("_session"))
        if session is None and intent.get("_return_url"):
            return _go(intent["_return_url"], (intent["_return_url"],))
        return _next(sandbox, session, outcome, {})

    return await sandbox.serve(work)


routes = [show, pay, ask, confirm]
