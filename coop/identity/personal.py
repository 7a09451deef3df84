"""What identity holds about a person: who they are here, and how they sign in."""

from coop.identity.accounts import Account
from coop.identity.handles import RetiredHandle
from coop.identity.links import MailLink
from coop.identity.passkeys import Challenge, Passkey
from coop.identity.recovery import RecoveryCode
from coop.identity.sessions import BrowserSession
from coop.identity.throttle import Attempts
from coop.personal import Apart, Held, Registered

HELD: Registered = (
    Held(
        table=Account,
        of=lambda person: Account.id == person.account_id,
        stays="an identifier that nothing leads to a person from; handle, name, address and password are taken out of the row",
        withheld={"skeleton": "inner", "password_digest": "secret"},
    ),
    Apart(table=RetiredHandle, why="a keyed digest, from which no handle can be read"),
    Held(
        table=Passkey,
        of=lambda person: Passkey.account_id == person.account_id,
        withheld={"credential_id": "secret", "public_key": "secret"},
    ),
    Held(
        table=Challenge,
        of=lambda person: Challenge.account_id == person.account_id,
        withheld={"challenge": "secret"},
        people=("account_id",),
    ),
    Held(
        table=RecoveryCode,
        of=lambda person: RecoveryCode.account_id == person.account_id,
        withheld={"digest": "secret"},
    ),
    Held(
        table=MailLink,
        of=lambda person: MailLink.account_id == person.account_id,
        withheld={"digest": "secret"},
    ),
    Held(
        table=BrowserSession,
        of=lambda person: BrowserSession.account_id == person.account_id,
        withheld={"digest": "secret", "lineage": "inner"},
    ),
    Apart(table=Attempts, why="counts behind a keyed digest, from which nobody can be read"),
)
