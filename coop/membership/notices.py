"""The letters that membership writes, in the reader's language."""

from dataclasses import dataclass

from babel.dates import format_date
from babel.numbers import format_currency

from coop.clock import local_date
from coop.mail import Letter
from coop.membership import renewal_links
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


def grace_ends(settings: Settings, to: str, locale: str, term: Term, *, price: Money) -> Letter:
    """Tell a member that the membership is about to lapse, and offer a place in the same breath."""
    return _written(GRACE_ENDS, settings, to, locale, term, price=price, planned=None)


def year_ends(
    settings: Settings, to: str, locale: str, term: Term, *, price: Money, planned: Money | None
) -> Letter:
    """Tell a member that a year ends, what will be charged, if anything, and how to change that."""
    return _written(YEAR_ENDS, settings, to, locale, term, price=price, planned=planned)


def _written(
    letter: dict[str, Words],
    settings: Settings,
    to: str,
    locale: str,
    term: Term,
    *,
    price: Money,
    planned: Money | None,
) -> Letter:
    language = locale if locale in letter else settings.locale
    words = letter[language]

    def amount(of: Money) -> str:
        return format_currency(settings.money.plain(of), settings.money.code.upper(), locale=language)

    facts = {
        "name": settings.name,
        "day": format_date(local_date(term.ends, settings.zone), format="long", locale=language),
        "grace": format_date(local_date(term.grace_until, settings.zone), format="long", locale=language),
        "price": amount(price),
        "amount": amount(planned) if planned is not None else "",
        "join": settings.url("/join"),
        "renewal": settings.url(renewal_links.path(settings, term.id)),
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
