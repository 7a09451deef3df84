"""The letters that membership writes, in the reader's language."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from uuid import UUID

from babel.dates import format_date
from babel.numbers import format_currency

from coop.clock import local_date
from coop.mail import Letter
from coop.membership import renewal_links
from coop.money import Money
from coop.settings import Settings


@dataclass(frozen=True, slots=True)
class Words:
    """One letter in one language."""

    subject: str
    charged: str
    by_hand: str
    after: str


YEAR_ENDS = {
    "en": Words(
        subject="Your year with {name} ends on {day}",
        charged=(
            "Your membership renews by itself: {amount} will be charged on {day}.\n\n"
            "To change the amount, to pause or to stop, without signing in: {renewal}"
        ),
        by_hand=(
            "Nothing will be charged by itself. A year costs {price}; pay what you can, also nothing: {join}"
        ),
        after="Your membership stays open until {grace} if you do nothing. Your things stay yours.",
    ),
    "pl": Words(
        subject="Twój rok w {name} kończy się {day}",
        charged=(
            "Twoje członkostwo odnawia się samo: {day} pobierzemy {amount}.\n\n"
            "Zmiana kwoty, przerwa albo rezygnacja, bez logowania: {renewal}"
        ),
        by_hand="Nic nie zostanie pobrane samo. Rok kosztuje {price}; płacisz, ile możesz, także nic: {join}",
        after="Jeśli nic nie zrobisz, członkostwo pozostanie otwarte do {grace}. Twoje rzeczy są nadal twoje.",
    ),
    "fr": Words(
        subject="Votre année chez {name} se termine le {day}",
        charged=(
            "Votre adhésion se renouvelle d'elle-même : {amount} seront prélevés le {day}.\n\n"
            "Pour changer le montant, suspendre ou arrêter, sans se connecter : {renewal}"
        ),
        by_hand=(
            "Rien ne sera prélevé. Une année coûte {price} ; payez ce que vous pouvez, même rien : {join}"
        ),
        after="Sans action de votre part, l'adhésion reste ouverte jusqu'au {grace}. Vos données restent les vôtres.",
    ),
}


GRACE_ENDS = {
    "en": Words(
        subject="Your membership of {name} ends on {grace}",
        charged="",
        by_hand=(
            "Your year ended on {day}, and nothing has followed it yet. A year costs {price}; pay what you can: {join}\n\n"
            "Or let the solidarity pool pay it, with one button and without giving a reason: {place}"
        ),
        after="If you do nothing, your membership ends on {grace}. You can come back at any time.",
    ),
    "pl": Words(
        subject="Twoje członkostwo w {name} kończy się {grace}",
        charged="",
        by_hand=(
            "Twój rok skończył się {day} i jeszcze nic po nim nie nastąpiło. Rok kosztuje {price}; płacisz, ile możesz: "
            "{join}\n\nMoże go też zapłacić fundusz solidarnościowy, jednym przyciskiem i bez podawania powodu: {place}"
        ),
        after="Jeśli nic nie zrobisz, członkostwo skończy się {grace}. Możesz wrócić w każdej chwili.",
    ),
    "fr": Words(
        subject="Votre adhésion à {name} se termine le {grace}",
        charged="",
        by_hand=(
            "Votre année s'est terminée le {day}, et rien ne l'a encore suivie. Une année coûte {price} ; payez ce que vous "
            "pouvez : {join}\n\nOu laissez la caisse de solidarité la payer, d'un seul bouton et sans donner de raison : "
            "{place}"
        ),
        after="Sans action de votre part, l'adhésion se termine le {grace}. Vous pouvez revenir quand vous voulez.",
    ),
}
"""The last word before a membership lapses, with the offer of a sponsored place."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The year whose end is announced."""

    term_id: UUID
    ends: datetime
    grace_until: datetime


def written(
    settings: Settings,
    to: str,
    locale: str,
    year: Ending,
    *,
    price: Money,
    planned: Money | None,
    last_call: bool,
) -> Letter:
    """Tell a member that a year ends, what will be charged, if anything, and how to change that.

    The last call is that the membership is about to lapse, with the offer of a place in the same breath.
    """
    letter = GRACE_ENDS if last_call else YEAR_ENDS
    language = locale if locale in letter else settings.locale
    words = letter[language]
    name, code, zone = settings.name, settings.money.code.upper(), settings.zone

    def amount(of: Money) -> str:
        return _amount(settings.money.plain(of), code, language)

    facts = {
        "name": name,
        "day": _day(local_date(year.ends, zone), language),
        "grace": _day(local_date(year.grace_until, zone), language),
        "price": amount(price),
        "amount": amount(planned) if planned is not None else "",
        "join": settings.url("/join"),
        "renewal": settings.url(renewal_links.path(settings, year.term_id)),
        "place": settings.url("/place"),
    }
    body = [words.charged if planned is not None else words.by_hand]
    if planned is None:
        body.append(words.after)
    return Letter(
        to=to,
        subject=words.subject.format(**facts),
        body="\n\n".join(part.format(**facts) for part in body) + "\n",
    )


# A run over all members meets few days and amounts, and to spell them takes longer than all the rest of a letter.
@lru_cache(maxsize=1024)
def _day(day: date, language: str) -> str:
    return format_date(day, format="long", locale=language)


@lru_cache(maxsize=1024)
def _amount(plain: Decimal, code: str, language: str) -> str:
    return format_currency(plain, code, locale=language)
