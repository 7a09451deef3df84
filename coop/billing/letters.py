"""The letters that billing writes, in the reader's language: plain, short, and each says what can be done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from babel.dates import format_date, format_datetime
from babel.numbers import format_currency

from coop.billing import declines
from coop.clock import local_date
from coop.identity.accounts import Account
from coop.mail import Letter
from coop.money import Money
from coop.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Words:
    """One letter in one language."""

    subject: str
    body: str


Letters = dict[str, Words]
"""One letter in every language."""

DECLINED: Letters = {
    "en": Words(
        "Your card could not be charged",
        "We could not charge {amount} for your next year. {reason}\n\n"
        "Nothing is lost: your membership stays open until {grace}, and the card is tried again on {day}.\n\n"
        "To use another card: {card}\n"
        "To let the solidarity pool pay your year, without giving a reason: {place}\n"
        "To pay less, to pause or to stop: {renewal}",
    ),
    "pl": Words(
        "Nie udało się obciążyć Twojej karty",
        "Nie udało się pobrać {amount} za Twój kolejny rok. {reason}\n\n"
        "Nic nie przepadło: członkostwo pozostaje otwarte do {grace}, a kartę spróbujemy obciążyć ponownie {day}.\n\n"
        "Inna karta: {card}\n"
        "Rok na koszt funduszu solidarnościowego, bez podawania powodu: {place}\n"
        "Niższa kwota, przerwa albo rezygnacja: {renewal}",
    ),
    "fr": Words(
        "Votre carte n'a pas pu être débitée",
        "Nous n'avons pas pu prélever {amount} pour votre prochaine année. {reason}\n\n"
        "Rien n'est perdu : votre adhésion reste ouverte jusqu'au {grace}, et la carte sera essayée de nouveau le {day}.\n\n"
        "Pour prendre une autre carte : {card}\n"
        "Pour que la caisse de solidarité paie votre année, sans donner de raison : {place}\n"
        "Pour payer moins, suspendre ou arrêter : {renewal}",
    ),
}
DECLINED_LAST: Letters = {
    "en": Words(
        "Your card could not be charged; it will not be tried again",
        "We could not charge {amount} for your next year. {reason} We will not try again, and nothing was charged.\n\n"
        "Your membership stays open until {grace}. Before then:\n\n"
        "Let the solidarity pool pay your year, with one button and without giving a reason: {place}\n"
        "Or pay what you can, by any card: {join}",
    ),
    "pl": Words(
        "Nie udało się obciążyć Twojej karty; więcej prób nie będzie",
        "Nie udało się pobrać {amount} za Twój kolejny rok. {reason} Nie będziemy próbować ponownie; nic nie pobrano.\n\n"
        "Członkostwo pozostaje otwarte do {grace}. Do tego czasu:\n\n"
        "Rok może zapłacić fundusz solidarnościowy, jednym przyciskiem i bez podawania powodu: {place}\n"
        "Możesz też zapłacić, ile możesz, dowolną kartą: {join}",
    ),
    "fr": Words(
        "Votre carte n'a pas pu être débitée ; elle ne sera plus essayée",
        "Nous n'avons pas pu prélever {amount} pour votre prochaine année. {reason} Nous n'essaierons plus, et rien n'a été "
        "prélevé.\n\nVotre adhésion reste ouverte jusqu'au {grace}. D'ici là :\n\n"
        "La caisse de solidarité peut payer votre année, d'un seul bouton et sans donner de raison : {place}\n"
        "Ou payez ce que vous pouvez, avec n'importe quelle carte : {join}",
    ),
}
CONFIRM: Letters = {
    "en": Words(
        "Your bank asks you to confirm a payment",
        "Your next year costs {amount}, and your bank wants you to confirm the payment yourself. Nothing was charged yet.\n\n"
        "To confirm it, or to pay by another card: {pay}\n\n"
        "Your membership stays open until {grace}. The solidarity pool can pay your year as well, without a reason: {place}",
    ),
    "pl": Words(
        "Twój bank prosi o potwierdzenie płatności",
        "Twój kolejny rok kosztuje {amount}, a bank chce, żeby płatność została potwierdzona przez Ciebie. Jeszcze nic nie "
        "pobrano.\n\nPotwierdzenie albo inna karta: {pay}\n\n"
        "Członkostwo pozostaje otwarte do {grace}. Rok może też zapłacić fundusz solidarnościowy, bez podawania powodu: {place}",
    ),
    "fr": Words(
        "Votre banque vous demande de confirmer un paiement",
        "Votre prochaine année coûte {amount}, et votre banque vous demande de confirmer le paiement vous-même. Rien n'a "
        "encore été prélevé.\n\nPour le confirmer, ou payer avec une autre carte : {pay}\n\n"
        "Votre adhésion reste ouverte jusqu'au {grace}. La caisse de solidarité peut aussi payer votre année, sans raison à "
        "donner : {place}",
    ),
}
NO_GAP: Letters = {
    "en": Words(
        "Nothing will be charged for your next year for now",
        "You pay {amount} of a year, and the solidarity pool cannot add the rest yet. So nothing is charged, and you keep "
        "your place in the queue: {place}\n\nAs soon as it is your turn we write to you. To pay the whole year "
        "instead: {join}",
    ),
    "pl": Words(
        "Na razie nie pobierzemy nic za Twój kolejny rok",
        "Twoja część za rok to {amount}, a fundusz solidarnościowy nie może jeszcze dołożyć reszty. Dlatego nic nie pobieramy, "
        "a Ty zachowujesz miejsce w kolejce: {place}\n\nNapiszemy, gdy tylko przyjdzie Twoja kolej. Jeśli wolisz "
        "zapłacić cały rok: {join}",
    ),
    "fr": Words(
        "Rien ne sera prélevé pour votre prochaine année pour l'instant",
        "Vous payez {amount} pour une année, et la caisse de solidarité ne peut pas encore ajouter le reste. Rien n'est donc "
        "prélevé, et vous gardez votre place dans la file : {place}\n\nNous vous écrirons dès que ce sera votre tour. Pour "
        "payer toute l'année à la place : {join}",
    ),
}
AMOUNT_CHANGED: Letters = {
    "en": Words(
        "Your renewal was changed",
        "From your next year on, your membership renews for {amount}. We write again before anything is charged.\n\n"
        "If that was not you, or to change it again: {renewal}",
    ),
    "pl": Words(
        "Zmieniono odnowienie Twojego członkostwa",
        "Od następnego roku członkostwo odnawia się za {amount}. Zanim cokolwiek pobierzemy, napiszemy ponownie.\n\n"
        "Jeśli to nie Ty, albo żeby zmienić jeszcze raz: {renewal}",
    ),
    "fr": Words(
        "Votre renouvellement a changé",
        "À partir de l'année prochaine, votre adhésion se renouvelle pour {amount}. Nous vous écrirons encore avant tout "
        "prélèvement.\n\nSi ce n'était pas vous, ou pour changer encore : {renewal}",
    ),
}
PAUSED: Letters = {
    "en": Words(
        "Your renewal pauses",
        "Nothing will be charged until you take the renewal up again. The year you have runs on to its end.\n\n"
        "To take it up again: {renewal}",
    ),
    "pl": Words(
        "Odnawianie jest wstrzymane",
        "Nic nie pobierzemy, dopóki nie wznowisz odnawiania. Bieżący rok trwa do końca.\n\nWznowienie: {renewal}",
    ),
    "fr": Words(
        "Votre renouvellement est suspendu",
        "Rien ne sera prélevé tant que vous ne le reprenez pas. L'année en cours va jusqu'à son terme.\n\n"
        "Pour le reprendre : {renewal}",
    ),
}
RESUMED: Letters = {
    "en": Words(
        "Your membership renews again",
        "Your membership renews by itself again, for {amount}. We write before anything is charged.\n\n"
        "To change the amount, to pause or to stop: {renewal}",
    ),
    "pl": Words(
        "Twoje członkostwo znów się odnawia",
        "Twoje członkostwo znów odnawia się samo, za {amount}. Napiszemy, zanim cokolwiek pobierzemy.\n\n"
        "Zmiana kwoty, przerwa albo rezygnacja: {renewal}",
    ),
    "fr": Words(
        "Votre adhésion se renouvelle de nouveau",
        "Votre adhésion se renouvelle de nouveau d'elle-même, pour {amount}. Nous vous écrirons avant tout prélèvement.\n\n"
        "Pour changer le montant, suspendre ou arrêter : {renewal}",
    ),
}
STOPPED: Letters = {
    "en": Words(
        "Your renewal is stopped",
        "We received this on {instant}. Your membership will not renew. Nothing more will be charged, and the year you have "
        "runs on to its end.",
    ),
    "pl": Words(
        "Odnawianie jest zatrzymane",
        "Otrzymaliśmy to {instant}. Twoje członkostwo nie odnowi się. Nic więcej nie pobierzemy, a bieżący rok trwa do końca.",
    ),
    "fr": Words(
        "Votre renouvellement est arrêté",
        "Nous l'avons reçu le {instant}. Votre adhésion ne se renouvellera pas. Rien de plus ne sera prélevé, et l'année en "
        "cours va jusqu'à son terme.",
    ),
}
INSTALMENTS_STOPPED: Letters = {
    "en": Words(
        "Your instalments are stopped",
        "We received this on {instant}. Nothing more will be charged. Your membership runs on as far as you have paid for it, "
        "until {day}.",
    ),
    "pl": Words(
        "Raty są zatrzymane",
        "Otrzymaliśmy to {instant}. Nic więcej nie pobierzemy. Członkostwo trwa tak długo, na ile je opłacono, do {day}.",
    ),
    "fr": Words(
        "Vos mensualités sont arrêtées",
        "Nous l'avons reçu le {instant}. Rien de plus ne sera prélevé. Votre adhésion dure aussi longtemps que vous l'avez "
        "payée, jusqu'au {day}.",
    ),
}
WITHDRAWN: Letters = {
    "en": Words(
        "You have withdrawn",
        "We received your withdrawal on {instant}. Your membership has ended, and what you paid for it, {amount}, is on its "
        "way back to you.",
    ),
    "pl": Words(
        "Odstąpienie od umowy",
        "Otrzymaliśmy Twoje odstąpienie {instant}. Członkostwo zakończyło się, a kwota, którą za nie zapłacono, {amount}, "
        "wraca do Ciebie.",
    ),
    "fr": Words(
        "Vous vous êtes rétracté",
        "Nous avons reçu votre rétractation le {instant}. Votre adhésion a pris fin, et ce que vous aviez payé, {amount}, vous "
        "est rendu.",
    ),
}
WITHDRAWN_UNPAID: Letters = {
    "en": Words(
        "You have withdrawn",
        "We received your withdrawal on {instant}. Your membership has ended.",
    ),
    "pl": Words(
        "Odstąpienie od umowy",
        "Otrzymaliśmy Twoje odstąpienie {instant}. Członkostwo zakończyło się.",
    ),
    "fr": Words(
        "Vous vous êtes rétracté",
        "Nous avons reçu votre rétractation le {instant}. Votre adhésion a pris fin.",
    ),
}
WITHDRAWN_SHARED: Letters = {
    "en": Words(
        "You have withdrawn",
        "We received your withdrawal on {instant}. Your membership has ended. What was paid for the year is on its way back to "
        "whoever paid.",
    ),
    "pl": Words(
        "Odstąpienie od umowy",
        "Otrzymaliśmy Twoje odstąpienie {instant}. Członkostwo zakończyło się. To, co zapłacono za rok, wraca do osoby, która "
        "zapłaciła.",
    ),
    "fr": Words(
        "Vous vous êtes rétracté",
        "Nous avons reçu votre rétractation le {instant}. Votre adhésion a pris fin. Ce qui avait été payé pour l'année est "
        "rendu à qui l'avait payé.",
    ),
}
GIVEN_BACK: Letters = {
    "en": Words(
        "Your year has ended",
        "Whoever paid for your year gave it back on {instant}. Your membership has ended. You can begin another year at any "
        "time: {join}",
    ),
    "pl": Words(
        "Twój rok się zakończył",
        "Osoba, która zapłaciła za Twój rok, zwróciła go {instant}. Członkostwo zakończyło się. Nowy rok możesz zacząć w każdej "
        "chwili: {join}",
    ),
    "fr": Words(
        "Votre année a pris fin",
        "La personne qui avait payé votre année l'a rendue le {instant}. Votre adhésion a pris fin. Vous pouvez commencer une "
        "autre année quand vous voulez : {join}",
    ),
}
REFUND_FAILED: Letters = {
    "en": Words(
        "Your refund did not arrive",
        "We sent {amount} back to your card, and it did not arrive there. The money is still yours: please write to us how "
        "we can send it.",
    ),
    "pl": Words(
        "Twój zwrot nie dotarł",
        "Odesłaliśmy {amount} na Twoją kartę, ale pieniądze nie dotarły. Nadal należą do Ciebie: napisz nam, jak możemy je "
        "przesłać.",
    ),
    "fr": Words(
        "Votre remboursement n'est pas arrivé",
        "Nous avons renvoyé {amount} vers votre carte, et la somme n'y est pas arrivée. Cet argent est toujours à vous : "
        "écrivez-nous comment vous l'envoyer.",
    ),
}
INSTALMENT_DECLINED: Letters = {
    "en": Words(
        "Your card was declined",
        "We could not charge {amount}, instalment {nth} of {count} for your year: your card's bank declined it. Your "
        "membership runs on. It will be tried again over two weeks; if it never succeeds, the reserve of the cooperative bears "
        "the rest.\n\nTo change the card, or to stop: {payments}",
    ),
    "pl": Words(
        "Bank odmówił obciążenia Twojej karty",
        "Nie udało się pobrać {amount}, raty {nth} z {count} za Twój rok: bank odmówił obciążenia karty. Członkostwo trwa "
        "dalej. Będziemy próbować jeszcze przez dwa tygodnie; jeśli się nie uda, resztę pokryje rezerwa spółdzielni.\n\n"
        "Zmiana karty albo rezygnacja: {payments}",
    ),
    "fr": Words(
        "Votre carte a été refusée",
        "Nous n'avons pas pu prélever {amount}, versement {nth} sur {count} de votre année : la banque de votre carte l'a "
        "refusé. Votre adhésion continue. Nous réessaierons pendant deux semaines ; en cas d'échec, la réserve de la "
        "coopérative prend le reste à sa charge.\n\nPour changer de carte, ou arrêter : {payments}",
    ),
}
INSTALMENTS_ENDED: Letters = {
    "en": Words(
        "Your instalments have ended",
        "Your card was declined several times, so nothing more will be charged. The reserve of the cooperative bears the rest, "
        "and your membership runs on until {day}.\n\nFor the next year you can pay at once what you can, or ask for a sponsored "
        "place, without giving a reason: {place}",
    ),
    "pl": Words(
        "Twoje raty się zakończyły",
        "Bank kilka razy odmówił obciążenia karty, więc nic więcej nie pobierzemy. Resztę pokrywa rezerwa spółdzielni, a "
        "członkostwo trwa do {day}.\n\nZa następny rok możesz zapłacić od razu, ile możesz, albo poprosić o miejsce na koszt "
        "funduszu, bez podawania powodu: {place}",
    ),
    "fr": Words(
        "Vos versements ont pris fin",
        "Votre carte a été refusée plusieurs fois : rien de plus ne sera prélevé. La réserve de la coopérative prend le reste à "
        "sa charge, et votre adhésion court jusqu'au {day}.\n\nPour l'année suivante, vous pourrez payer d'un coup ce que vous "
        "pouvez, ou demander une place parrainée, sans donner de raison : {place}",
    ),
}
HOUSEHOLD_YEAR: Letters = {
    "en": Words(
        "You are a member of {coop}",
        "Your household has paid for your year. Your membership runs until {day}.\n\nYour page: {account}",
    ),
    "pl": Words(
        "Twoje członkostwo w {coop}",
        "Twoje gospodarstwo domowe zapłaciło za Twój rok. Członkostwo trwa do {day}.\n\nTwoja strona: {account}",
    ),
    "fr": Words(
        "Votre adhésion à {coop}",
        "Votre foyer a payé votre année. Votre adhésion court jusqu'au {day}.\n\nVotre page : {account}",
    ),
}
HOUSEHOLD_WITHDRAWN: Letters = {
    "en": Words(
        "You have withdrawn",
        "We received your withdrawal on {instant}, for: {people}. Their years have ended. {amount} is on its way back to you.\n\n"
        "Your household: {household}",
    ),
    "pl": Words(
        "Odstąpienie od umowy",
        "Otrzymaliśmy Twoje odstąpienie {instant}, dotyczące: {people}. Lata tych osób zakończyły się. Kwota {amount} wraca do "
        "Ciebie.\n\nTwoje gospodarstwo domowe: {household}",
    ),
    "fr": Words(
        "Vous vous êtes rétracté",
        "Nous avons reçu votre rétractation le {instant}, pour : {people}. Leurs années ont pris fin. {amount} vous sont rendus."
        "\n\nVotre foyer : {household}",
    ),
}


async def post(
    work: UnitOfWork,
    account_id: UUID,
    letters: Letters,
    *,
    key: str,
    amount: Money | None = None,
    grace: datetime | None = None,
    day: datetime | None = None,
    declined: str | None = None,
    nth: int = 0,
    count: int = 0,
    people: Sequence[str] = (),
    pay: str = "",
    renewal: str = "/account/renewal",
) -> None:
    """Write to an account once under `key`, if it has an address."""
    account = await work.session.get_one(Account, account_id)
    if account.email is None:
        return
    settings = work.settings
    language = account.locale if account.locale in letters else settings.locale

    def date(instant: datetime | None) -> str:
        return (
            ""
            if instant is None
            else format_date(local_date(instant, settings.zone), "long", locale=language)
        )

    facts = {
        "coop": settings.name,
        "amount": ""
        if amount is None
        else format_currency(settings.money.plain(amount), settings.money.code.upper(), locale=language),
        "grace": date(grace),
        "day": date(day),
        "instant": format_datetime(work.now, "long", tzinfo=settings.zone, locale=language),
        "reason": declines.plain(declined, language),
        "pay": pay or settings.url("/join"),
        "card": settings.url("/account/card"),
        "join": settings.url("/join"),
        "place": settings.url("/place"),
        "renewal": settings.url(renewal),
        "account": settings.url("/account"),
        "payments": settings.url("/account/payments"),
        "household": settings.url("/account/household"),
        "nth": nth,
        "count": count,
        "people": ", ".join(people),
    }
    words = letters[language]
    await work.send_once(
        Letter(
            to=account.email,
            subject=f"{words.subject.format(**facts)}",
            body=f"{words.body.format(**facts)}\n\n{settings.name}, {settings.url('/account/payments')}\n",
        ),
        dedupe_key=key,
    )
