"""Why a card was declined, in plain words: the processor's codes, told so that a person knows what to do.

What a bank suspects (fraud, a lost or stolen card) is never told: Stripe asks for that, and it may be wrong.
"""

_WORDS = {
    "funds": {
        "en": "There was not enough money on the card.",
        "pl": "Na karcie zabrakło pieniędzy.",
        "fr": "Il n'y avait pas assez d'argent sur la carte.",
    },
    "expired": {
        "en": "The card has expired.",
        "pl": "Karta straciła ważność.",
        "fr": "La carte a expiré.",
    },
    "numbers": {
        "en": "The card's number, date or security code is not right any more.",
        "pl": "Numer karty, data lub kod zabezpieczający już się nie zgadzają.",
        "fr": "Le numéro, la date ou le code de sécurité de la carte ne sont plus justes.",
    },
    "confirm": {
        "en": "Your bank wants you to confirm the payment yourself.",
        "pl": "Twój bank chce, żeby płatność została potwierdzona przez Ciebie.",
        "fr": "Votre banque vous demande de confirmer le paiement vous-même.",
    },
    "limit": {
        "en": "The payment was above what the card allows.",
        "pl": "Płatność przekroczyła limit karty.",
        "fr": "Le paiement dépassait ce que la carte permet.",
    },
    "unsupported": {
        "en": "The card does not take payments of this kind or in this currency.",
        "pl": "Karta nie obsługuje płatności tego rodzaju albo w tej walucie.",
        "fr": "La carte n'accepte pas les paiements de ce genre ou dans cette monnaie.",
    },
    "passing": {
        "en": "Something went wrong on the way to the bank; it may well work the next time.",
        "pl": "Coś poszło nie tak w drodze do banku; następnym razem może się udać.",
        "fr": "Quelque chose s'est mal passé en route vers la banque ; cela peut réussir la prochaine fois.",
    },
    "bank": {
        "en": "The card's bank declined it and gave no reason. It can tell you more.",
        "pl": "Bank, który wydał kartę, odmówił bez podania powodu. Może powiedzieć Ci więcej.",
        "fr": "La banque de la carte a refusé sans donner de raison. Elle peut vous en dire plus.",
    },
}
_CODES = {
    "insufficient_funds": "funds",
    "expired_card": "expired",
    "invalid_expiry_month": "numbers",
    "invalid_expiry_year": "numbers",
    "incorrect_cvc": "numbers",
    "invalid_cvc": "numbers",
    "incorrect_number": "numbers",
    "invalid_number": "numbers",
    "invalid_account": "numbers",
    "incorrect_zip": "numbers",
    "authentication_required": "confirm",
    "authentication_not_handled": "confirm",
    "card_velocity_exceeded": "limit",
    "withdrawal_count_limit_exceeded": "limit",
    "invalid_amount": "limit",
    "card_not_supported": "unsupported",
    "currency_not_supported": "unsupported",
    "transaction_not_allowed": "unsupported",
    "service_not_allowed": "unsupported",
    "approve_with_id": "passing",
    "issuer_not_available": "passing",
    "processing_error": "passing",
    "reenter_transaction": "passing",
    "try_again_later": "passing",
    "no_action_taken": "passing",
}


def plain(code: str | None, locale: str) -> str:
    """Return why a card was declined; a code that we do not know, or must not tell, says that the bank knows."""
    words = _WORDS[_CODES.get(code or "", "bank")]
    return words.get(locale, words["en"])
