"""The fault panel: what goes wrong between two honest machines, at the press of a button."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.response import Redirect

from api.sandbox import faults, fields, webhooks
from api.sandbox.desk import Desk
from api.sandbox.objects import charges, disputes, refunds
from api.sandbox.problems import Doc, StripeProblem
from api.sandbox.rendering import headers, page
from api.sandbox.sandbox import Sandbox

Ask = Request[Any, Any, Any]
_LATEST = 15


def _overview(desk: Desk) -> Doc:
    def latest(kind: str) -> list[Doc]:
        return desk.store.select(kind, tail=f"ORDER BY seq DESC LIMIT {_LATEST}")

    return {
        "kinds": faults.KINDS,
        "armed": faults.armed(desk),
        "deliveries": webhooks.recent(desk),
        "charges": [charge for charge in latest("charge") if charge["paid"]],
        "disputes": latest("dispute"),
        "open_disputes": disputes.OPEN,
    }


@get("/faults", include_in_schema=False)
async def show(request: Ask) -> Response[Any]:
    """Show armed faults, the latest charges, disputes and deliveries."""
    sandbox: Sandbox = request.app.state.sandbox
    return page("faults.html", await sandbox.serve(_overview), base=sandbox.url)


@post("/faults", include_in_schema=False, status_code=200)
async def act(request: Ask) -> Response[Any]:
    """Do what a button of the panel says."""
    sandbox: Sandbox = request.app.state.sandbox
    given = await fields.posted(request)
    await sandbox.serve(lambda desk: _act(desk, given))
    return Redirect(f"{sandbox.url}/faults", status_code=303, headers=headers())


def _act(desk: Desk, given: dict[str, str]) -> None:
    name = given.get("name", "")
    match given.get("do"):
        case "arm":
            try:
                faults.arm(
                    desk,
                    faults.Fault(
                        kind=given.get("kind", ""),
                        times=int(given.get("times") or 1),
                        match=given.get("match") or "*",
                        detail=float(given["detail"]) if given.get("detail") else None,
                    ),
                )
            except ValueError:
                raise StripeProblem("Choose a fault, and how often it happens: 1 to 1000 times.") from None
        case "clear":
            faults.clear(desk)
        case "resend":
            webhooks.resend(desk, int(name) if name.isdecimal() and len(name) < 10 else 0)  # noqa: PLR2004 - row numbers
        case "dispute":
            disputes.open_against(desk, charges.book(desk, name))
        case "refund":
            refunds.give_back(desk, desk.get("charge", name), None, {})
        case "win" | "lose":
            disputes.close(desk, desk.get("dispute", name), won=given["do"] == "win")
        case _:
            raise StripeProblem("That button is not on this page.")


routes = [show, act]
