"""A Stripe-shaped sandbox: the part of Stripe's API that the cooperative uses, with a hosted page."""

from api.sandbox.app import create_sandbox
from api.sandbox.faults import Fault
from api.sandbox.sandbox import Sandbox, Webhook
from api.sandbox.terms import Terms

__all__ = ["Fault", "Sandbox", "Terms", "Webhook", "create_sandbox"]
