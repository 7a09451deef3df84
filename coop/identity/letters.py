"""The letters that identity writes, in the reader's language: short, and each says what to do if it was not you."""

from dataclasses import dataclass

from coop.identity.accounts import Account
from coop.mail import Letter
from coop.settings import Settings


@dataclass(frozen=True, slots=True)
class Words:
    """One letter in one language."""

    subject: str
    body: str


CONFIRM = {
    "en": Words(
        subject="Confirm your e-mail address for {coop}",
        body=(
            "Somebody, most likely you, gave this address for the account {handle} at {coop}.\n\n"
            "To confirm it, open this page within a day:\n\n{link}\n\n"
            "If it was not you, do nothing: without your confirmation nothing more will be sent here."
        ),
    ),
    "pl": Words(
        subject="Potwierdź swój adres e-mail w {coop}",
        body=(
            "Ktoś, najpewniej Ty, podał ten adres dla konta {handle} w {coop}.\n\n"
            "Aby go potwierdzić, otwórz tę stronę w ciągu doby:\n\n{link}\n\n"
            "Jeśli to nie Ty, nie rób nic: bez potwierdzenia nic więcej tu nie wyślemy."
        ),
    ),
    "fr": Words(
        subject="Confirmez votre adresse électronique chez {coop}",
        body=(
            "Quelqu'un, sans doute vous, a donné cette adresse pour le compte {handle} chez {coop}.\n\n"
            "Pour la confirmer, ouvrez cette page dans la journée :\n\n{link}\n\n"
            "Si ce n'était pas vous, ne faites rien : sans confirmation, nous n'écrirons plus ici."
        ),
    ),
}

MOVED = {
    "en": Words(
        subject="Your e-mail address at {coop} was changed",
        body=(
            "The account {handle} at {coop} has another e-mail address now. This one will get no more letters.\n\n"
            "If it was not you, write to the stewards at once."
        ),
    ),
    "pl": Words(
        subject="Twój adres e-mail w {coop} został zmieniony",
        body=(
            "Konto {handle} w {coop} ma teraz inny adres e-mail. Na ten nie wyślemy już listów.\n\n"
            "Jeśli to nie Ty, napisz od razu do opiekunów."
        ),
    ),
    "fr": Words(
        subject="Votre adresse électronique chez {coop} a changé",
        body=(
            "Le compte {handle} chez {coop} a maintenant une autre adresse. Celle-ci ne recevra plus de lettres.\n\n"
            "Si ce n'était pas vous, écrivez tout de suite aux intendants."
        ),
    ),
}

WAY_BACK = {
    "en": Words(
        subject="A way back into your account at {coop}",
        body=(
            "Somebody, most likely you, asked for a new password for the account {handle} at {coop}.\n\n"
            "To choose one, open this page within an hour:\n\n{link}\n\n"
            "If it was not you, do nothing: your password stays as it is."
        ),
    ),
    "pl": Words(
        subject="Powrót do Twojego konta w {coop}",
        body=(
            "Ktoś, najpewniej Ty, poprosił o nowe hasło do konta {handle} w {coop}.\n\n"
            "Aby je wybrać, otwórz tę stronę w ciągu godziny:\n\n{link}\n\n"
            "Jeśli to nie Ty, nie rób nic: hasło pozostaje bez zmian."
        ),
    ),
    "fr": Words(
        subject="Retrouver votre compte chez {coop}",
        body=(
            "Quelqu'un, sans doute vous, a demandé un nouveau mot de passe pour le compte {handle} chez {coop}.\n\n"
            "Pour le choisir, ouvrez cette page dans l'heure :\n\n{link}\n\n"
            "Si ce n'était pas vous, ne faites rien : votre mot de passe reste le même."
        ),
    ),
}

PASSWORD_CHANGED = {
    "en": Words(
        subject="Your password at {coop} was changed",
        body=(
            "The password of the account {handle} at {coop} was changed, and every other browser was signed out.\n\n"
            "If it was not you, get back in here and change it again:\n\n{link}"
        ),
    ),
    "pl": Words(
        subject="Twoje hasło w {coop} zostało zmienione",
        body=(
            "Hasło do konta {handle} w {coop} zostało zmienione, a wszystkie inne przeglądarki wylogowane.\n\n"
            "Jeśli to nie Ty, wróć na konto tutaj i zmień je ponownie:\n\n{link}"
        ),
    ),
    "fr": Words(
        subject="Votre mot de passe chez {coop} a changé",
        body=(
            "Le mot de passe du compte {handle} chez {coop} a changé ; tout autre navigateur a été déconnecté.\n\n"
            "Si ce n'était pas vous, revenez ici et changez-le de nouveau :\n\n{link}"
        ),
    ),
}


def written(
    words: dict[str, Words], settings: Settings, account: Account, *, to: str, link: str = ""
) -> Letter:
    """Return the letter to the owner of `account`, with `link` as the one thing to open."""
    said = words.get(account.locale) or words[settings.locale]
    facts = {"coop": settings.name, "handle": account.handle, "link": settings.url(link)}
    return Letter(to=to, subject=said.subject.format(**facts), body=said.body.format(**facts) + "\n")
