"""The invitation to those whose membership was taken over; sent only if the operator says so, and once."""

from coop.mail import Letter
from coop.settings import Settings

WORDS = """\
{name} keeps its members here now. Your membership was paid for elsewhere, and goes on: to take it up, make an account with
this very e-mail address and confirm it. What you paid for is yours from that moment, and nothing is charged for it again.

{url}

---
{name} prowadzi teraz członkostwo tutaj. Twoje członkostwo zostało opłacone gdzie indziej i trwa dalej: załóż konto na ten
sam adres e-mail i potwierdź go. To, za co zapłacono, jest od tej chwili Twoje; nic nie pobierzemy za to drugi raz.

{url}

---
{name} tient désormais son registre ici. L'adhésion que vous avez payée ailleurs continue : créez un compte avec cette
même adresse électronique et confirmez-la. Ce que vous avez payé est à vous dès ce moment, et rien ne vous sera demandé
deux fois.

{url}
"""
SUBJECT = "Your membership · Twoje członkostwo · Votre adhésion: {name}"


def invitation(settings: Settings, address: str) -> Letter:
    """Return the letter; in three languages, since nobody knows which of them its reader speaks."""
    return Letter(
        to=address,
        subject=SUBJECT.format(name=settings.name),
        body=WORDS.format(name=settings.name, url=settings.url("/join")),
    )
