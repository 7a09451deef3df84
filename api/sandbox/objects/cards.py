"""Test cards: what each number does, which is all that the sandbox remembers of a number."""

from dataclasses import dataclass
from typing import Literal

from api.sandbox.problems import Doc, StripeProblem

Behaviour = Literal["pays", "declines", "asks", "asks_always", "disputed", "fails_later", "at_once", "slow"]


@dataclass(frozen=True)
class Card:
    """How a card behaves, and the code that Stripe gives as the reason."""

    number: str
    behaviour: Behaviour
    reason: str
    hint: str
    brand: str = "visa"

    @property
    def asks(self) -> bool:
        """Whether its bank wants to hear from the cardholder."""
        return self.behaviour in {"asks", "asks_always"}


CARDS = {
    card.number: card
    for card in (
        Card("4242424242424242", "pays", "", "pays"),
        Card("5555555555554444", "pays", "", "pays (Mastercard)", "mastercard"),
        Card("4000000000000077", "at_once", "", "pays, and the money is available at once"),
        Card("4000000000000002", "declines", "generic_decline", "is declined"),
        Card("4000000000009995", "declines", "insufficient_funds", "is declined: too little money"),
        Card("4000000000000069", "declines", "expired_card", "is declined: expired"),
        Card("4000000000000127", "declines", "incorrect_cvc", "is declined: wrong security code"),
        Card("4000000000000119", "declines", "processing_error", "is declined: an error on the way"),
        Card("4000002500003155", "asks", "", "asks you to confirm (3-D Secure)"),
        Card("4000000000003220", "asks_always", "", "asks you to confirm each time (3-D Secure)"),
        Card("4000000000000259", "disputed", "fraudulent", "pays, and is later disputed"),
        Card(
            "4000000000002685",
            "disputed",
            "product_not_received",
            "pays, and is later disputed: not received",
        ),
        Card("4000000000000341", "fails_later", "generic_decline", "can be kept, but every charge fails"),
        Card("000123456789", "slow", "", "is a bank account: pays after some days", "bank"),
        Card(
            "000222222227",
            "slow",
            "insufficient_funds",
            "is a bank account: fails after some days",
            "bank",
        ),
    )
}
DEBITS = {
    card.number: card
    for card in (
        Card("AT321904300235473204", "slow", "", "pays after some days", "sepa"),
        Card("AT611904300234573201", "slow", "", "pays after some days", "sepa"),
        Card("IT60X0542811101000000123456", "slow", "insufficient_funds", "fails after some days", "sepa"),
        Card("AT861904300235473202", "slow", "insufficient_funds", "fails after some days", "sepa"),
    )
}
"""Accounts of the euro area; the hosted page, which takes dollars, does not offer them."""
_NAMES = {
    "visa": "4242424242424242",
    "mastercard": "5555555555554444",
    "bypassPending": "4000000000000077",
    "chargeDeclined": "4000000000000002",
    "visa_chargeDeclined": "4000000000000002",
    "chargeDeclinedInsufficientFunds": "4000000000009995",
    "visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "chargeDeclinedExpiredCard": "4000000000000069",
    "chargeDeclinedIncorrectCvc": "4000000000000127",
    "chargeDeclinedProcessingError": "4000000000000119",
    "authenticationRequired": "4000002500003155",
    "threeDSecure2Required": "4000000000003220",
    "createDispute": "4000000000000259",
    "createDisputeProductNotReceived": "4000000000002685",
    "createDisputeInquiry": "4000000000000259",
    "chargeCustomerFail": "4000000000000341",
}
_SAID = {
    "generic_decline": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
    "authentication_failure": "We could not confirm that this payment is yours. Nothing was charged.",
}
_OWN_CODES = {"expired_card", "incorrect_cvc", "processing_error", "authentication_required"}


def named(name: str) -> Card | None:
    """Return the card behind one of Stripe's test names: `pm_card_visa`, `tok_visa` and so on."""
    for prefix in ("pm_card_", "tok_"):
        if name.startswith(prefix):
            number = _NAMES.get(name.removeprefix(prefix))
            return CARDS[number] if number else None
    return None


def numbered(number: str) -> Card | None:
    """Return the test card, or the account, with this number."""
    plain = number.replace(" ", "").replace("-", "")
    return CARDS.get(plain) or DEBITS.get(plain)


def decline(reason: str) -> Doc:
    """Return the error that stands on a declined charge, intent and answer."""
    if reason == "authentication_failure":
        return {
            "code": "payment_intent_authentication_failure",
            "message": _SAID[reason],
            "type": "invalid_request_error",
        }
    code = reason if reason in _OWN_CODES else "card_declined"
    said = _SAID.get(reason, "Your card was declined.")
    return {"code": code, "decline_code": reason, "message": said, "type": "card_error"}


def declined(error: Doc) -> StripeProblem:
    """Return the refusal for a declined card; what was written stays, because the attempt is a fact."""
    more = {key: value for key, value in error.items() if key not in {"message", "type", "code", "doc_url"}}
    return StripeProblem(
        error["message"], status=402, kind=error["type"], code=error["code"], keep=True, **more
    )
