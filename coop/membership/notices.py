"""The letters that membership writes, in the reader's language."""

from dataclasses import dataclass

from babel.dates import format_date
from babel.numbers import format_currency

from coop.clock import local_date
from coop.mail import Letter
from coop.membership.terms import Term
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
            "To change the amount, to pause or to stop, which takes two clicks: {stop}"
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
            "Zmiana kwoty, przerwa albo rezygnacja, dwa kliknięcia: {stop}"
        ),
        by_hand="Nic nie zostanie pobrane samo. Rok kosztuje {price}; płacisz, ile możesz, także nic: {join}",
        after="Jeśli nic nie zrobisz, członkostwo pozostanie otwarte do {grace}. Twoje rzeczy są nadal twoje.",
    ),
    "fr": Words(
        subject="Votre année chez {name} se termine le {day}",
        charged=(
            "Votre adhésion se renouvelle d'elle-même : {amount} seront prélevés le {day}.\n\n"
            "Pour changer le montant, suspendre ou arrêter, en deux clics : {stop}"
        ),
        by_hand=(
            "Rien ne sera prélevé. Une année coûte {price} ; payez ce que vous pouvez, même rien : {join}"
        ),
        after="Sans action de votre part, l'adhésion reste ouverte jusqu'au {grace}. Vos données restent les vôtres.",
    ),
}


def year_ends(
    settings: Settings, to: str, locale: str, term: Term, *, price: Money, planned: Money | None
) -> Letter:
    """Tell a member that a year ends, what will be charged, if anything, and how to change that."""
    language = locale if locale in YEAR_ENDS else settings.locale
    words = YEAR_ENDS[language]

    def amount(of: Money) -> str:
        return format_currency(settings.money.plain(of), settings.money.code.upper(), locale=language)

    facts = {
        "name": settings.name,
        "day": format_date(local_date(term.ends, settings.zone), format="long", locale=language),
        "grace": format_date(local_date(term.grace_until, settings.zone), format="long", locale=language),
        "price": amount(price),
        "amount": amount(planned) if planned is not None else "",
        "join": settings.url("/join"),
        "stop": settings.url("/account/stop"),
    }
    body = [words.charged if planned is not None else words.by_hand]
    if planned is None:
        body.append(words.after)
    return Letter(
        to=to,
        subject=words.subject.format(**facts),
        body="\n\n".join(part.format(**facts) for part in body) + "\n",
    )
