"""How the fields of law are named, written and typed on pages: amounts in the home currency, shares in percent."""

import re
from decimal import Decimal

from api.pages.languages import marked
from api.pages.rendering import money
from coop.errors import Invalid
from coop.money import Money
from coop.settings import Settings

KINDS = {
    "dues": marked("Dues"),
    "pool": marked("Solidarity pool"),
    "shares": marked("Revenue shares"),
    "voting": marked("Voting"),
    "terms": marked("Terms of membership"),
    "covenant": marked("Covenant of the networks"),
    "privacy": marked("Privacy"),
    "admission": marked("Admission"),
}

LABELS = {
    "price": marked("Price of a year"),
    "suggested": marked("Suggested amounts"),
    "minimum_card": marked("Least card payment"),
    "grace_days": marked("Days of grace after a year has ended"),
    "notice_days": marked("Days of notice"),
    "withdrawal_days": marked("Days in which a year can be given back"),
    "instalments": marked("Instalments of a year (0: none)"),
    "organisation": marked("Least payment of an organisation (0: no organisations)"),
    "household": marked("Most people in a household (0: no households)"),
    "order": marked("Order of the queue"),
    "reservation_hours": marked("Hours for which the pool's part is held"),
    "offer_days": marked("Days for which an offered place waits"),
    "reserve_before_end_days": marked("Days before the end at which a renewal must be covered"),
    "credit_days": marked("Days for which late money waits for a place"),
    "max_new_places_month": marked("Most first places in a month"),
    "verified_email": marked("A first place needs a verified e-mail"),
    "networks": marked("Networks' share"),
    "operations": marked("Operations' share"),
    "reserve": marked("Reserve's share"),
    "card_fee": marked("Card fee, part of the payment"),
    "card_fee_fixed": marked("Card fee, for each payment"),
    "unused": marked("Who receives the part of members who used no network"),
    "pool_funded_cap": marked("Most of a payout that may stem from sponsored years"),
    "pool_funded_delay_days": marked("Days for which the part of sponsored years waits"),
    "minimum_contributors": marked("Fewest members that a statement may speak of"),
    "ordinary": marked("Majority for ordinary motions"),
    "economic": marked("Majority for dues, pool and shares"),
    "constitutional": marked("Majority for covenant, terms, privacy, voting and admission"),
    "charter": marked("Majority for the charter"),
    "quorum_root": marked("Quorum: hundredths of the square root of the roll"),
    "quorum_share": marked("Quorum: part of the roll"),
    "charter_quorum_share": marked("Quorum for the charter: part of the roll"),
    "seconders": marked("Members who must second a draft"),
    "discussion_days": marked("Days of discussion"),
    "voting_days": marked("Days of voting"),
    "cooling_off_days": marked("Days of cooling-off after the count"),
    "minimum_membership_days": marked("Days of membership before one may vote"),
    "max_growth": marked("Most growth of the roll in thirty days"),
    "founding_until_members": marked("Members with whom the founding phase ends"),
    "founding_days": marked("Days after which the founding phase ends"),
    "emergency_days": marked("Days for which an emergency act stands"),
    "text": marked("Text"),
    "sign_within_days": marked("Days in which a network signs a new version"),
    "erasure_days": marked("Days between asking for erasure and erasure"),
    "mode": marked("How people join"),
    "minimum_age": marked("Least age in years"),
    "email_required": marked("An e-mail address is required"),
}

WORDS = {
    "first_asked_first_served": marked("first asked, first served"),
    "common_fund": marked("the common fund"),
    "open": marked("open to everybody"),
    "invitation": marked("by invitation"),
    "vouching": marked("when members vouch"),
    "manual": marked("admitted by stewards"),
    "yes": marked("yes"),
    "no": marked("no"),
}
"""How values that are words are read."""

AMOUNTS = frozenset({"price", "suggested", "minimum_card", "card_fee_fixed", "organisation"})
SHARES = frozenset(
    "networks operations reserve card_fee pool_funded_cap quorum_share charter_quorum_share max_growth".split()
)
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_PERCENT = re.compile(r"([0-9]{1,3})(?:[.,]([0-9]{1,2}))?", re.ASCII)
_MAJORITY = re.compile(r"(>|>=|≥)\s*([0-9]{1,3})\s*/\s*([0-9]{1,3})", re.ASCII)


class BadValue(Invalid):
    """Write the new value like the one that stood here."""

    code = "bad_value"


def label(field: str) -> str:
    """Return the name of a field of law, in English, for a template to translate."""
    return LABELS.get(field, field.replace("_", " "))


def typed(field: str, value: object, settings: Settings) -> str:
    """Write a value as it is typed into a form: 27.00, 60 %, >=3/5, 30, 7."""
    match value:
        case bool():
            return "yes" if value else "no"
        case int() if field in AMOUNTS:
            return settings.money.plain(Money(value))
        case int() if field in SHARES:
            return f"{(Decimal(value) / 100).normalize():f} %"
        case list() | tuple():
            return ", ".join(typed(field, item, settings) for item in value)
        case {"strict": strict, "numerator": numerator, "denominator": denominator}:
            return f"{'>' if strict else '>='}{numerator}/{denominator}"
    return str(value)


def shown(field: str, value: object, settings: Settings, locale: str) -> str:
    """Write a value as it is read: $27, 60 %, more than 1/2 as >1/2; words in English, for a template to translate."""
    if field in AMOUNTS and isinstance(value, int):
        return money(Money(value), settings, locale)
    if field in AMOUNTS and isinstance(value, list | tuple):
        return " · ".join(shown(field, item, settings, locale) for item in value)
    text = typed(field, value, settings)
    return text if field == "text" else WORDS.get(text, text)


def read(field: str, text: str, old: object, settings: Settings) -> object:
    """Read what was typed for a field whose value was `old`; the law checks the bounds."""
    text = text.strip()
    if isinstance(old, bool):
        if text not in {"yes", "no"}:
            raise BadValue("Write yes or no.", field=field)
        return text == "yes"
    if isinstance(old, int):
        return _number(field, text, settings)
    if isinstance(old, list | tuple):
        # A comma may be the decimal mark of an amount; between amounts a space follows it.
        between = r";|,\s+" if field in AMOUNTS else r"[;,]"
        return [_number(field, part.strip(), settings) for part in re.split(between, text) if part.strip()]
    if isinstance(old, dict):
        found = _MAJORITY.fullmatch(text)
        if not found:
            raise BadValue("Write a majority like >1/2 or >=3/5.", field=field)
        return {"strict": found[1] == ">", "numerator": int(found[2]), "denominator": int(found[3])}
    return text.replace("\r\n", "\n")


def _number(field: str, text: str, settings: Settings) -> int:
    if field in AMOUNTS:
        return settings.money.parse(text, field=field).minor
    if field in SHARES:
        found = _PERCENT.fullmatch(text.removesuffix("%").strip())
        if not found:
            raise BadValue("Write a percentage with at most two decimals, like 60 or 2.5.", field=field)
        return int(found[1]) * 100 + int((found[2] or "").ljust(2, "0") or 0)
    if not _WHOLE_NUMBER.fullmatch(text):
        raise BadValue("Write a whole number with digits.", field=field)
    return int(text)
