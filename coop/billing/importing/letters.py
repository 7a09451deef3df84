"""The invitation to those whose membership was taken over; sent only if the operator says so, and once."""

from coop.mail import Letter
from coop.settings import Settings

WORDS = """\
{name} keeps its members here now: {url}

Your membership was paid for elsewhere, and goes on. To take it up, make an account with this very e-mail address and
confirm it; what you paid for is yours from that moment, and nothing is charged for it again.

{url}

---
{name} prowadzi teraz członkostwo tutaj. Twoja składka opłacona gdzie indziej jest ważna: załóż konto na ten sam adres
e-mail i potwierdź go. Niczego nie płacisz drugi raz.

---
{name} tient désormais son registre ici. L'adhésion que vous avez payée ailleurs continue : créez un compte avec cette
même adresse électronique et confirmez-la. Rien ne vous sera demandé deux fois.
"""


def invitation(settings: Settings, address: str) -> Letter:
    """Return the letter; in three languages, since nobody knows which of them its reader speaks."""
    return Letter(
        to=address,
        subject=f"Your membership of {settings.name}",
        body=WORDS.format(name=settings.name, url=settings.url("/join")),
    )
