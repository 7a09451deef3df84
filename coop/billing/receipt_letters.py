"""The receipt that is mailed with a payment, in the payer's language: what for, how it was divided, what became of it.

The receipt to keep is the numbered one (coop.billing.receipts), to which this letter leads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from babel.dates import format_date
from babel.numbers import format_currency, format_percent

from coop.billing.payments import Payment
from coop.clock import local_date
from coop.identity.accounts import Account
from coop.mail import Letter
from coop.membership import organisations, vat
from coop.money import WHOLE, Money
from coop.settings import Settings
from coop.sponsorship.letters import BEGUN
from coop.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence in every language, and what it names; days are written as the reader's language does."""

    words: Mapping[str, str]
    facts: Mapping[str, object] = field(default_factory=dict)

    def to(self, language: str) -> str:
        """Say it."""
        return self.words[language].format(
            **{
                name: format_date(fact, "long", locale=language) if isinstance(fact, date) else fact
                for name, fact in self.facts.items()
            }
        )


POOL = Said(
    {"en": "the solidarity pool", "pl": "fundusz solidarnościowy", "fr": "la caisse de solidarité"},
)
GIFT = Said(
    {
        "en": "a year of membership as a gift",
        "pl": "rok członkostwa w prezencie",
        "fr": "une année d'adhésion à offrir",
    }
)
A_YEAR = Said({"en": "a year of membership", "pl": "rok członkostwa", "fr": "une année d'adhésion"})
FIRST_INSTALMENT = Said(
    {
        "en": "a year of membership, first instalment",
        "pl": "rok członkostwa, pierwsza rata",
        "fr": "une année d'adhésion, premier versement",
    }
)
STOPPED = Said(
    {
        "en": "You had stopped your renewal when it was charged, so this payment is on its way back to you.",
        "pl": "Odnawianie było już zatrzymane, gdy pobrano tę płatność, więc wraca ona do Ciebie.",
        "fr": "Vous aviez arrêté le renouvellement quand il a été prélevé : ce paiement vous est rendu.",
    }
)
PAID_TWICE = Said(
    {
        "en": "You had paid already, so this payment is on its way back to you.",
        "pl": "Rok był już opłacony, więc ta płatność wraca do Ciebie.",
        "fr": "Vous aviez déjà payé : ce paiement vous est rendu.",
    }
)
DISPUTE_OPEN = Said(
    {
        "en": "Your bank disputes an earlier payment, so this one is on its way back to you.",
        "pl": "Twój bank kwestionuje wcześniejszą płatność, więc ta wraca do Ciebie.",
        "fr": "Votre banque conteste un paiement antérieur : celui-ci vous est rendu.",
    }
)
WAITS = Said(
    {
        "en": (
            "What the solidarity pool had kept for you was given back before your payment came. You are first in the "
            "queue now; if no place comes within thirty days, your money goes back to you."
        ),
        "pl": (
            "To, co odłożył dla Ciebie fundusz solidarnościowy, wróciło do niego, zanim nadeszła Twoja płatność. Masz teraz "
            "pierwsze miejsce w kolejce; jeśli w ciągu trzydziestu dni nic się nie zwolni, pieniądze wrócą do Ciebie."
        ),
        "fr": (
            "Ce que la caisse de solidarité gardait pour vous avait été rendu avant l'arrivée de votre paiement. Vous êtes "
            "maintenant en tête de la file ; si aucune place ne vient en trente jours, votre argent vous sera rendu."
        ),
    }
)
TOO_LATE = Said(
    {
        "en": (
            "What the solidarity pool had kept for you was given back before your payment came, so this payment is on "
            "its way back to you. Nothing more will be charged."
        ),
        "pl": (
            "To, co odłożył dla Ciebie fundusz solidarnościowy, wróciło do niego, zanim nadeszła Twoja płatność, więc "
            "wraca ona do Ciebie. Nic więcej nie pobierzemy."
        ),
        "fr": (
            "Ce que la caisse de solidarité gardait pour vous avait été rendu avant l'arrivée de votre paiement : il vous "
            "est rendu. Rien de plus ne sera prélevé."
        ),
    }
)
NOT_EVERYBODY = Said(
    {
        "en": "Not everybody's year could begin. What you paid for the others is on its way back to you.",
        "pl": "Nie każdy rok mógł się zacząć. To, co zapłacono za pozostałe osoby, wraca do Ciebie.",
        "fr": "Toutes les années n'ont pas pu commencer. Ce que vous aviez payé pour les autres vous est rendu.",
    }
)


def runs_until(day: date) -> Said:
    """Say until when a year that has begun runs."""
    return Said(
        {
            "en": "Your membership runs until {day}.",
            "pl": "Twoje członkostwo trwa do {day}.",
            "fr": "Votre adhésion court jusqu'au {day}.",
        },
        {"day": day},
    )


def years(count: int) -> Said:
    """Say how many years a household's payment is for."""
    return Said(
        {
            "en": "years of membership: {count}",
            "pl": "lata członkostwa: {count}",
            "fr": "années d'adhésion : {count}",
        },
        {"count": count},
    )


def instalment(paid: int, count: int) -> Said:
    """Say which instalment it is."""
    return Said(
        {
            "en": "a year of membership, instalment {paid} of {count}",
            "pl": "rok członkostwa, rata {paid} z {count}",
            "fr": "une année d'adhésion, versement {paid} sur {count}",
        },
        {"paid": paid, "count": count},
    )


def hand_over(url: str, day: date) -> Said:
    """Say where the link of a gift is, and until when it is good."""
    return Said(
        {
            "en": "The link to hand over, good until {day}: {url}",
            "pl": "Link do przekazania, ważny do {day}: {url}",
            "fr": "Le lien à remettre, valable jusqu'au {day} : {url}",
        },
        {"url": url, "day": day},
    )


@dataclass(frozen=True, slots=True)
class _Words:
    subject: str
    thanks: str
    what: str
    day: str
    by: str
    dues: str
    vat: str
    surplus: str
    gap: str
    receipt: str


_RECEIPT = {
    "en": _Words(
        subject="Receipt from {coop}",
        thanks="{coop} received {amount} from you. Thank you.",
        what="For: {what}",
        day="Date: {day}",
        by="From: {by}",
        dues="Dues: {amount}",
        vat="VAT in them, {rate}: {amount}",
        surplus="To the solidarity pool: {amount}",
        gap="Added by the solidarity pool: {amount}",
        receipt="Your receipt: {url}",
    ),
    "pl": _Words(
        subject="Potwierdzenie wpłaty, {coop}",
        thanks="{coop}: dotarła Twoja wpłata {amount}. Dziękujemy.",
        what="Za: {what}",
        day="Data: {day}",
        by="Od: {by}",
        dues="Składka: {amount}",
        vat="W tym VAT, {rate}: {amount}",
        surplus="Na fundusz solidarnościowy: {amount}",
        gap="Dołożone przez fundusz solidarnościowy: {amount}",
        receipt="Twój rachunek: {url}",
    ),
    "fr": _Words(
        subject="Reçu de {coop}",
        thanks="{coop} a bien reçu vos {amount}. Merci.",
        what="Pour : {what}",
        day="Date : {day}",
        by="De la part de : {by}",
        dues="Cotisation : {amount}",
        vat="Dont TVA, {rate} : {amount}",
        surplus="À la caisse de solidarité : {amount}",
        gap="Ajouté par la caisse de solidarité : {amount}",
        receipt="Votre reçu : {url}",
    ),
}


async def post(work: UnitOfWork, payment: Payment, what: Said, *, more: Said | None = None) -> None:
    """Post the receipt to the payer, if we know an address."""
    account = await work.session.get_one(Account, payment.account_id)
    if account.email is None:
        return
    organisation = await organisations.of(work, account.id)
    by = None if organisation is None else organisation.name
    taxes = await vat.arisen(work, payment.id) if work.settings.vat_rates else ()
    letter, key = written(
        work.settings, payment, account.email, account.locale, what, by=by, more=more, taxes=taxes
    )
    work.send(letter, dedupe_key=key)


def written(
    settings: Settings,
    payment: Payment,
    address: str,
    locale: str,
    what: Said,
    *,
    by: str | None = None,
    more: Said | None = None,
    taxes: Sequence[vat.Part] = (),
) -> tuple[Letter, str]:
    """Return the receipt for a payment, and the key under which it leaves at most once."""
    language = locale if locale in _RECEIPT else settings.locale
    words = _RECEIPT[language]

    def amount(of: Money) -> str:
        return format_currency(settings.money.plain(of), settings.money.code.upper(), locale=language)

    day = format_date(local_date(payment.received_at, settings.zone), "long", locale=language)
    lines = [
        words.thanks.format(coop=settings.name, amount=amount(payment.amount)),
        "",
        words.what.format(what=what.to(language)),
        words.day.format(day=day),
    ]
    if by is not None:
        lines.append(words.by.format(by=by))
    if payment.purpose in {"dues", "household", "instalment"}:
        lines.append(words.dues.format(amount=amount(payment.own_part)))
        lines += [
            words.vat.format(
                rate=format_percent(Decimal(tax.rate) / WHOLE, locale=language, decimal_quantization=False),
                amount=amount(tax.vat),
            )
            for tax in taxes
        ]
        if payment.surplus:
            lines.append(words.surplus.format(amount=amount(payment.surplus)))
        if payment.gap:
            lines.append(words.gap.format(amount=amount(payment.gap)))
    elif payment.purpose == "gift" and payment.surplus:
        lines.append(words.surplus.format(amount=amount(payment.surplus)))
    lines += ["", words.receipt.format(url=settings.url(f"/account/payments/{payment.id}"))]
    if more is not None:
        lines += ["", more.to(language)]
    # The letter with which a year begins has one subject, whoever paid: it is read by others, too.
    begins = payment.purpose == "dues" and payment.term_id is not None
    subject = (BEGUN[language].subject if begins else words.subject).format(coop=settings.name)
    return Letter(to=address, subject=subject, body="\n".join(lines) + "\n"), f"receipt:{payment.id}"
