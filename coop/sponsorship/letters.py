"""The letters that sponsorship writes, in the reader's language; none of them says to others who paid for what.

A subject can be read on a locked telephone, over a shoulder, in a shared mailbox: it speaks of the membership alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import msgspec
from babel.dates import format_date
from babel.numbers import format_currency

from coop.identity.accounts import Account
from coop.mail import Letter
from coop.money import Money
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Words:
    """One letter in one language."""

    subject: str
    body: str


BEGUN = {
    "en": Words(
        subject="You are a member of {coop}",
        body="Your membership has begun and runs until {day}.\n\nYour page: {account}",
    ),
    "pl": Words(
        subject="Twoje członkostwo w {coop}",
        body="Twoje członkostwo zaczęło się i trwa do {day}.\n\nTwoja strona: {account}",
    ),
    "fr": Words(
        subject="Votre adhésion à {coop}",
        body="Votre adhésion a commencé et court jusqu'au {day}.\n\nVotre page : {account}",
    ),
}

OFFERED = {
    "en": Words(
        subject="Your membership can begin",
        body=(
            "You asked to pay {amount} for a year. The solidarity pool has kept the rest for you until {day}.\n\n"
            "Pay your part here: {join}\n\nIf you do not want it any more, you need do nothing: on that day it goes to "
            "the next in the queue."
        ),
    ),
    "pl": Words(
        subject="Twoje członkostwo może się zacząć",
        body=(
            "Twoja część za rok to {amount}. Resztę odłożył dla Ciebie fundusz solidarnościowy, do {day}.\n\n"
            "Zapłać swoją część tutaj: {join}\n\nJeśli już jej nie chcesz, nie rób nic: tego dnia miejsce przejdzie na "
            "następną osobę w kolejce."
        ),
    ),
    "fr": Words(
        subject="Votre adhésion peut commencer",
        body=(
            "Vous avez choisi de payer {amount} pour une année. La caisse de solidarité garde le reste pour vous "
            "jusqu'au {day}.\n\nPayez votre part ici : {join}\n\nSi vous n'en voulez plus, ne faites rien : ce jour-là, "
            "elle revient à la personne suivante."
        ),
    ),
}

LAPSED = {
    "en": Words(
        subject="Your membership has not begun",
        body=(
            "The solidarity pool had kept a place for you until today, and it was not taken up: it went to the next in the "
            "queue. Nothing was charged.\n\n"
            "You can ask again at any time, without giving a reason: {place}"
        ),
    ),
    "pl": Words(
        subject="Twoje członkostwo się nie zaczęło",
        body=(
            "Fundusz solidarnościowy trzymał dla Ciebie miejsce do dziś i nie zostało ono wykorzystane: przeszło na "
            "następną osobę w kolejce. Nic nie pobrano."
            "\n\nMożesz poprosić ponownie w każdej chwili, bez podawania powodu: {place}"
        ),
    ),
    "fr": Words(
        subject="Votre adhésion n'a pas commencé",
        body=(
            "La caisse de solidarité gardait une place pour vous jusqu'à aujourd'hui ; elle n'a pas été prise et passe à "
            "la personne suivante. Rien n'a été prélevé.\n\nVous pouvez redemander quand vous voulez, sans donner de raison : {place}"
        ),
    ),
}

PRICE_FELL = {
    "en": Words(
        subject="Your membership can begin",
        body=(
            "A year costs {amount} now, which is no more than you chose to pay, so you need nothing from the solidarity "
            "pool.\n\nYour membership begins as soon as you pay: {join}"
        ),
    ),
    "pl": Words(
        subject="Twoje członkostwo może się zacząć",
        body=(
            "Rok kosztuje teraz {amount}, nie więcej niż Twoja deklarowana kwota, więc fundusz solidarnościowy nie musi "
            "nic dokładać.\n\nCzłonkostwo zacznie się, gdy tylko zapłacisz: {join}"
        ),
    ),
    "fr": Words(
        subject="Votre adhésion peut commencer",
        body=(
            "Une année coûte maintenant {amount}, pas plus que ce que vous aviez choisi de payer : la caisse de solidarité "
            "n'a rien à ajouter.\n\nVotre adhésion commence dès que vous payez : {join}"
        ),
    ),
}

MONTH_FAILED = {
    "en": Words(
        subject="Your monthly gift could not be charged",
        body=(
            "Your card's bank declined this month's {amount} for the solidarity pool. You owe nothing, and nobody loses a "
            "place by it. It will be tried again over two weeks.\n\nTo stop it, or to give in another way: {sponsor}"
        ),
    ),
    "pl": Words(
        subject="Nie udało się pobrać Twojego comiesięcznego daru",
        body=(
            "Bank Twojej karty odmówił w tym miesiącu {amount} na fundusz solidarnościowy. Nic nie jesteś nam winien ani "
            "winna i nikt nie traci przez to miejsca. Spróbujemy ponownie w ciągu dwóch tygodni.\n\n"
            "Rezygnacja albo inny sposób wsparcia: {sponsor}"
        ),
    ),
    "fr": Words(
        subject="Votre don mensuel n'a pas pu être prélevé",
        body=(
            "La banque de votre carte a refusé les {amount} de ce mois pour la caisse de solidarité. Vous ne devez rien, et "
            "personne n'y perd sa place. Nous réessaierons pendant deux semaines.\n\n"
            "Pour arrêter, ou donner autrement : {sponsor}"
        ),
    ),
}


def post(
    work: UnitOfWork,
    account: Account,
    words: dict[str, Words],
    *,
    key: str,
    day: date | None = None,
    amount: Money | None = None,
) -> None:
    """Write to an account once under `key`, if it has an address."""
    if account.email is not None:
        subject, body = written(work.settings, words, account.locale, day=day, amount=amount)
        work.send(Letter(to=account.email, subject=subject, body=body), dedupe_key=key)


class Addressed(msgspec.Struct, frozen=True):
    """One letter of many: to whom, in which language, once under which key, and what it says."""

    to: str | None
    locale: str
    key: str
    day: date | None = None
    amount: Money | None = None


async def post_all(work: UnitOfWork, words: dict[str, Words], letters: Iterable[Addressed]) -> None:
    """Write the same letter to many, those who have an address, in one statement."""
    # Few days and amounts come together, and to format them takes longer than all the rest.
    texts: dict[tuple[str, date | None, Money | None], tuple[str, str]] = {}
    ready = []
    for one in letters:
        if one.to is None:
            continue
        says = (one.locale, one.day, one.amount)
        if says not in texts:
            texts[says] = written(work.settings, words, one.locale, day=one.day, amount=one.amount)
        subject, body = texts[says]
        ready.append((Letter(to=one.to, subject=subject, body=body), one.key))
    await work.send_all(ready)


def written(
    settings: Settings, words: dict[str, Words], locale: str, *, day: date | None, amount: Money | None
) -> tuple[str, str]:
    """Return the subject and the body of a letter in the reader's language."""
    language = locale if locale in words else settings.locale
    plain, code = settings.money.plain, settings.money.code.upper()
    facts = {
        "coop": settings.name,
        "day": "" if day is None else format_date(day, "long", locale=language),
        "amount": "" if amount is None else format_currency(plain(amount), code, locale=language),
        "account": settings.url("/account"),
        "join": settings.url("/join"),
        "place": settings.url("/place"),
        "sponsor": settings.url("/sponsor"),
    }
    chosen = words[language]
    return chosen.subject.format(**facts), chosen.body.format(**facts) + "\n"
