"""What the provider holds about a person: what they agreed to share with which program, and what was opened by it."""

from uuid import UUID

from sqlalchemy import ScalarSelect, Select, select
from sqlalchemy.orm import InstrumentedAttribute

from coop.authorization.clients import Client
from coop.authorization.consents import Consent
from coop.authorization.grants import Grant
from coop.authorization.notices import LogoutNotice
from coop.authorization.tokens import AccessToken, RefreshToken
from coop.personal import Held, Person, Registered


def _grants(person: Person) -> Select[UUID]:
    return select(Grant.id).where(Grant.account_id == person.account_id)


def _client(key: InstrumentedAttribute[UUID]) -> ScalarSelect[str]:
    return select(Client.name).where(Client.id == key).scalar_subquery()


HELD: Registered = (
    Held(
        table=Consent,
        of=lambda person: Consent.account_id == person.account_id,
        more={"client": _client(Consent.client_id)},
    ),
    Held(
        table=AccessToken,
        of=lambda person: AccessToken.grant_id.in_(_grants(person)),
        withheld={"digest": "secret"},
    ),
    Held(
        table=RefreshToken,
        of=lambda person: RefreshToken.grant_id.in_(_grants(person)),
        withheld={"digest": "secret"},
    ),
    Held(
        table=Grant,
        of=lambda person: Grant.account_id == person.account_id,
        withheld={
            "code_digest": "secret",
            "code_challenge": "secret",
            "nonce": "secret",
            "session_id": "inner",
        },
        more={"client": _client(Grant.client_id)},
    ),
    Held(
        table=LogoutNotice,
        of=lambda person: LogoutNotice.account_id == person.account_id,
        withheld={"session_id": "inner", "occasion": "inner", "lease": "inner", "leased_until": "inner"},
        more={"client": _client(LogoutNotice.client_id)},
    ),
)
