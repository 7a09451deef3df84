"""The letters about an erasure: that it was asked for and how to change one's mind, that it waits, and that it is done."""

from datetime import date, datetime

from babel.dates import format_date

from coop.clock import local_date
from coop.identity.accounts import Account
from coop.identity.letters import Words
from coop.mail import Letter
from coop.unit_of_work import UnitOfWork

ASKED = {
    "en": Words(
        subject="Your account at {coop} will be erased on {day}",
        body=(
            "The account {handle} at {coop} is to be erased. That will be done on {day}.\n\n"
            "Until then nothing changes, except that no renewal is charged. If you change your mind, or if it was not you who "
            "asked, keep the account here:\n\n{link}\n\n"
            "Afterwards it cannot be brought back, and nobody will ever bear the name {handle} again."
        ),
    ),
    "pl": Words(
        subject="Twoje konto w {coop} zostanie usunięte {day}",
        body=(
            "Konto {handle} w {coop} ma zostać usunięte. Stanie się to {day}.\n\n"
            "Do tego dnia nic się nie zmienia, tylko żadne odnowienie nie zostanie pobrane. Jeśli zmienisz zdanie albo to nie Ty "
            "o to prosisz, zachowaj konto tutaj:\n\n{link}\n\n"
            "Potem nie da się go przywrócić i nikt już nigdy nie będzie nosił nazwy {handle}."
        ),
    ),
    "fr": Words(
        subject="Votre compte chez {coop} sera effacé le {day}",
        body=(
            "Le compte {handle} chez {coop} doit être effacé. Ce sera fait le {day}.\n\n"
            "D'ici là rien ne change, sauf qu'aucun renouvellement n'est prélevé. Si vous changez d'avis, ou si la demande ne vient "
            "pas de vous, gardez le compte ici :\n\n{link}\n\n"
            "Ensuite il ne pourra pas être rétabli, et plus personne ne portera le nom {handle}."
        ),
    ),
}

KEPT = {
    "en": Words(
        subject="Your account at {coop} stays",
        body="The account {handle} at {coop} is not erased. What was to renew by itself goes on as before.",
    ),
    "pl": Words(
        subject="Twoje konto w {coop} zostaje",
        body="Konto {handle} w {coop} nie zostanie usunięte. Co miało odnawiać się samo, odnawia się jak dotąd.",
    ),
    "fr": Words(
        subject="Votre compte chez {coop} est gardé",
        body="Le compte {handle} chez {coop} n'est pas effacé. Ce qui se renouvelait tout seul continue comme avant.",
    ),
}

PUT_OFF = {
    "en": Words(
        subject="Your account at {coop} cannot be erased yet",
        body=(
            "The account {handle} at {coop} was to be erased today, but you are the last who holds an office of the cooperative, "
            "or the only admin of a network. Hand it over, and the erasure goes on by itself; we look again each day.\n\n{link}"
        ),
    ),
    "pl": Words(
        subject="Twojego konta w {coop} nie można jeszcze usunąć",
        body=(
            "Konto {handle} w {coop} miało zostać dziś usunięte, ale tylko Ty pełnisz pewną funkcję w spółdzielni albo jako "
            "jedyna osoba zarządzasz siecią. Przekaż to komuś, a usunięcie nastąpi samo; sprawdzamy codziennie.\n\n{link}"
        ),
    ),
    "fr": Words(
        subject="Votre compte chez {coop} ne peut pas encore être effacé",
        body=(
            "Le compte {handle} chez {coop} devait être effacé aujourd'hui, mais vous êtes la dernière personne à exercer une "
            "fonction de la coopérative, ou seule à administrer un réseau. Passez la main, et tout se fera de soi-même ; nous "
            "vérifions chaque jour.\n\n{link}"
        ),
    ),
}

GONE = {
    "en": Words(
        subject="Your account at {coop} is erased",
        body=(
            "The account {handle} at {coop} is erased, as you asked. Your networks are told now. The books keep amounts and days "
            "without your name.\n\nThis is our last letter to you; this address is forgotten with it. Thank you for having been here."
        ),
    ),
    "pl": Words(
        subject="Twoje konto w {coop} jest usunięte",
        body=(
            "Konto {handle} w {coop} jest usunięte, zgodnie z Twoją prośbą. Twoje sieci właśnie się o tym dowiadują. W księgach "
            "zostają kwoty i daty bez Twojej nazwy.\n\nTo nasz ostatni list do Ciebie; wraz z nim zapominamy ten adres. Dziękujemy "
            "za wspólny czas."
        ),
    ),
    "fr": Words(
        subject="Votre compte chez {coop} est effacé",
        body=(
            "Le compte {handle} chez {coop} est effacé, comme demandé. Vos réseaux en sont informés maintenant. Les livres gardent "
            "montants et dates sans votre nom.\n\nCeci est notre dernière lettre ; avec elle nous oublions cette adresse. Merci "
            "d'avoir été des nôtres."
        ),
    ),
}


def post(
    work: UnitOfWork, account: Account, words: dict[str, Words], *, due_at: datetime | None = None
) -> None:
    """Write to the owner of an account, if they gave an address and have confirmed it."""
    if account.email is None or account.email_verified_at is None:
        return
    locale = account.locale if account.locale in words else work.settings.locale
    said = words[locale]
    day = "" if due_at is None else _day(local_date(due_at, work.settings.zone), locale)
    facts = {
        "coop": work.settings.name,
        "handle": account.handle,
        "day": day,
        "link": work.settings.url("/account/erase"),
    }
    work.send(
        Letter(to=account.email, subject=said.subject.format(**facts), body=said.body.format(**facts) + "\n")
    )


def _day(day: date, locale: str) -> str:
    return format_date(day, format="d MMMM y", locale=locale)
