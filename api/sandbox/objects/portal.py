"""The billing portal: a page where a customer stops a subscription or changes the card."""

from api.sandbox.desk import Desk, nothing
from api.sandbox.listing import listed
from api.sandbox.objects import customers
from api.sandbox.operations import EXPAND, Operation, retrieve
from api.sandbox.parameters import address, need, text
from api.sandbox.problems import Doc

_DEFAULT = "bpc_sandboxdefault"


def default(desk: Desk) -> Doc:
    """Return the one configuration that the sandbox has."""
    found = desk.find(_DEFAULT)
    if found is not None:
        return found
    options = ["too_expensive", "missing_features", "switched_service", "unused", "other"]
    return desk.new(
        "billing_portal.configuration",
        {
            "active": True,
            "business_profile": nothing("headline", "privacy_policy_url", "terms_of_service_url"),
            "features": {
                "customer_update": {"allowed_updates": [], "enabled": False},
                "invoice_history": {"enabled": False},
                "payment_method_update": {"enabled": True, "payment_method_configuration": None},
                "subscription_cancel": {
                    "cancellation_reason": {"enabled": False, "options": options},
                    "enabled": True,
                    "mode": "at_period_end",
                    "proration_behavior": "none",
                },
                "subscription_update": {
                    "default_allowed_updates": [],
                    "enabled": False,
                    "proration_behavior": "none",
                    "schedule_at_period_end": {"conditions": []},
                    "trial_update_behavior": "end_trial",
                },
            },
            "is_default": True,
            "login_page": {"enabled": False, "url": None},
            "metadata": {},
            "updated": desk.now,
        }
        | nothing("application", "default_return_url", "name"),
        name=_DEFAULT,
    )


def _open(desk: Desk, params: Doc) -> Doc:
    need(params, "customer")
    customer = customers.present(desk, params["customer"])
    if params.get("configuration"):
        desk.get("billing_portal.configuration", params["configuration"], "configuration")
    session = desk.new(
        "billing_portal.session",
        {
            "configuration": default(desk)["id"],
            "customer": customer["id"],
            "flow": None,
            "locale": None,
            "on_behalf_of": None,
            "return_url": params.get("return_url"),
        },
    )
    session["url"] = f"{desk.url}/portal/{session['id']}"
    desk.emit("billing_portal.session.created", session)
    return desk.save(session)


def _configurations(desk: Desk, params: Doc) -> Doc:
    default(desk)
    listing = listed("billing_portal.configuration", "/v1/billing_portal/configurations", dated=False)
    return listing.run(desk, params)


OPERATIONS = [
    Operation(
        "POST",
        "/v1/billing_portal/sessions",
        _open,
        EXPAND | {"customer": text, "configuration": text, "return_url": address},
    ),
    Operation("GET", "/v1/billing_portal/configurations", _configurations),
    retrieve("billing_portal.configuration", "/v1/billing_portal/configurations"),
]
