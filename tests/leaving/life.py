"""Somebody who did everything that leaves a trace, beside others who must not be found in what is theirs."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from coop import ledger, policies
from coop.authorization import notices
from coop.authorization.clients import Client
from coop.billing.cards import CardVisit
from coop.billing.household_dues import HouseholdYear
from coop.billing.importing.held import ImportedMembership
from coop.billing.offline.transactions import BankTransaction
from coop.billing.offline.transfers import Transfer
from coop.billing.payments import Payment
from coop.billing.reconciliation.differences import Difference
from coop.billing.refunds import Refund
from coop.governance.motions import Motion, Second
from coop.governance.roll import RollEntry
from coop.identity import links, recovery, verification
from coop.identity.accounts import Account
from coop.identity.passkeys import Challenge, Passkey
from coop.ledger.entries import JournalEntry
from coop.mail import Letter, MailboxLetter
from coop.membership import households
from coop.membership.organisations import Organisation
from coop.membership.renewal import RenewalNotice
from coop.membership.terms import Term
from coop.money import Money
from coop.networks import admins, announcements, endpoints, networks, payloads
from coop.networks.aliases import Alias
from coop.networks.moving.imported import ImportedAccount
from coop.policies import Dues
from coop.sponsorship import institutions, pool
from coop.sponsorship.gifts import Gift
from coop.sponsorship.places import Place
from coop.stewardship import approvals, audit, roles
from coop.unit_of_work import UnitOfWork
from tests.protocol.relying_party import RelyingParty, register
from tests.till import Till

DISPUTED = "4000000000000259"
BY_CARD_NAME = "Anastazja Kowalska"
"""How the bank names her."""
ELSEWHERE = "patron-of-long-ago"
"""How another tool named her."""
SOON = timedelta(days=30)


@dataclass
class Life:
    """Whose life it is, and who else is in it."""

    till: Till
    ada: Account
    others: list[Account]
    network: RelyingParty

    @property
    def names(self) -> list[str]:
        """What anybody would know her by, other than the account."""
        return [self.ada.handle, str(self.ada.email), str(self.ada.display_name), BY_CARD_NAME, ELSEWHERE]


async def lived(till: Till) -> Life:
    """Live it."""
    ada, ben, cyd = [await till.person(handle) for handle in ("anastazja", "benedykta", "cyprianna")]
    await till.endow()
    await till.adopt(Dues, instalments=4, minimum_card=100)
    await till.pay(ada, 2500, instalments=True)
    await till.pay(ben)
    await till.pay(ben, 5000, purpose="sponsor")
    await till.pay(ben, 2500, purpose="gift")
    async with till.units.read() as work:
        gift = await work.session.scalar(select(Gift))
    assert gift is not None
    assert await till.claim(ada, gift) is False
    await till.pay(ada, 2500, purpose="gift")
    await till.pay(ada, 4000, purpose="sponsor", card=DISPUTED)
    till.clock.advance(timedelta(hours=2))
    await till.sandbox.settle()
    network = await _signed_in(till, ada)
    await till.work()
    async with till.units.open() as work:
        ada = await work.session.get_one(Account, ada.id)
        ada.display_name = "Anastazja of the Lagoon"
        await _identity(work, ada)
        await _money(work, ada, ben, cyd)
        await _together(work, ada, ben, cyd)
        await _stewards(work, ada, ben, cyd)
        await _networks(work, ada, ben)
    async with till.units.open() as work:
        ada = await work.session.get_one(Account, ada.id)
        work.publish(verification.EmailVerified(account_id=ada.id))
        work.send(Letter(to=str(ada.email), subject="A letter that waits", body=f"Dear {ada.handle}"))
        await verification.ask(work, ada, "anastazja.new@example.org")
    return Life(till, ada, [ben, cyd], network)


async def _signed_in(till: Till, ada: Account) -> RelyingParty:
    """Let her use a network, and sign out of it again."""
    async with till.visitor(ada) as browser, till.visitor() as wire:
        party = await register(
            till.units, browser, wire, backchannel_logout_uri="https://lantern.example/signed-out"
        )
        assert (
            await party.token(
                grant_type="authorization_code",
                code=await party.code(),
                redirect_uri=party.redirect_uri,
                code_verifier="a-verifier-of-forty-three-characters-or-more-0123456789",
            )
        ).status_code == 200
    return party


async def _identity(work: UnitOfWork, ada: Account) -> None:
    work.session.add_all(
        [
            Passkey(
                account_id=ada.id,
                credential_id=b"credential",
                public_key=b"public",
                sign_count=1,
                synced=True,
                transports=["usb"],
                name="My telephone",
                created_at=work.wall,
            ),
            Challenge(challenge=b"challenge", purpose="add", account_id=ada.id, expires_at=work.wall + SOON),
        ]
    )
    work.session.add(
        MailboxLetter(
            arrived_at=work.now, recipient=str(ada.email), subject="Welcome", body=ada.handle, key="a-letter"
        )
    )
    await recovery.renew_codes(work, ada.id)
    await links.make(work, "recover", ada.id, str(ada.email))


async def _money(work: UnitOfWork, ada: Account, ben: Account, cyd: Account) -> None:
    dues = await policies.in_force(work, Dues)
    payments = list(
        await work.session.scalars(
            select(Payment).where(Payment.account_id == ada.id).order_by(Payment.received_at, Payment.amount)
        )
    )
    term = await work.session.scalar(select(Term).where(Term.account_id == ada.id))
    entry = await work.session.scalar(select(JournalEntry).where(JournalEntry.source == "payment"))
    theirs = await work.session.scalar(select(Payment).where(Payment.account_id == ben.id))
    assert term is not None
    assert entry is not None
    assert theirs is not None
    now, law = work.now, dues.id
    place = Place(
        account_id=ada.id,
        asked_at=now,
        contribution=Money(1000),
        first=False,
        state="closed",
        ended_as="withdrawn",
        ended_at=now,
    )
    work.session.add(place)
    await work.session.flush()
    await pool.reserve(work, Money(1500), key=place.key)
    await pool.release(work, place.key)
    work.session.add_all(
        [
            CardVisit(
                account_id=ada.id,
                key="a-visit-of-hers",
                next_path="/account/card",
                begun_at=now,
                expires_at=now,
                state="expired",
            ),
            HouseholdYear(
                account_id=ada.id, amount=Money(2500), price=Money(2500), payment_id=theirs.id, term_id=None
            ),
            Transfer(
                reference="RF00ADA",
                account_id=ada.id,
                purpose="dues",
                amount=Money(2500),
                price=Money(2500),
                policy_version=law,
                asked_at=now,
                valid_until=now,
                state="withdrawn",
                ended_at=now,
            ),
            BankTransaction(
                key="a-bank's-key",
                content="c" * 64,
                booked_on=now.date(),
                amount=Money(2500),
                text=f"for {ada.handle}",
                payer=BY_CARD_NAME,
                payer_account="DE02120300000000202051",
                imported_at=now,
                state="matched",
                payment_id=payments[0].id,
                decided_at=now,
            ),
            ImportedMembership(
                source="patreon",
                external_id=ELSEWHERE,
                email_digest=None,
                paid_until=now.date(),
                first_day=now.date(),
                year=1,
                months=0,
                price=Money(2500),
                owed=Money(0),
                vat_rate=0,
                policy_version=law,
                imported_at=now,
                state="credited",
                account_id=ada.id,
                ended_at=now,
            ),
            Difference(
                kind="amount_differs",
                object_id=payments[0].gateway_id,
                currency="usd",
                facts="{}",
                since=now,
                seen_at=now,
                state="gone",
                closed_at=now,
            ),
            Refund(
                payment_id=payments[0].id, amount=Money(1), reason="test", intended_at=now, state="failed"
            ),
        ]
    )
    work.session.add(RenewalNotice(term_id=term.id, days=30))
    await work.session.flush()
    await institutions.introduce(work, ada.id, name="Library of Anastazja", named=False)


async def _together(work: UnitOfWork, ada: Account, ben: Account, cyd: Account) -> None:
    now = work.now
    invitation = await households.invite(work, ada.id)
    await households.accept(work, cyd.id, households.code(work.settings, invitation.id))
    await households.invite(work, ada.id)
    work.session.add(Organisation(account_id=ada.id, name="Lagoon Ltd", since=now))
    mine = Motion(
        title="Longer evenings",
        text="More light.",
        argument_for="It is dark.",
        proposer_id=ada.id,
        created_at=now,
        motion_class="ordinary",
    )
    theirs = Motion(
        title="Shorter evenings",
        text="Less light.",
        argument_for="It is late.",
        proposer_id=ben.id,
        created_at=now,
        state="discussion",
        motion_class="ordinary",
    )
    work.session.add_all([mine, theirs])
    await work.session.flush()
    work.session.add_all(
        [
            Second(motion_id=theirs.id, account_id=ada.id),
            RollEntry(motion_id=theirs.id, account_id=ada.id, voted=True),
            RollEntry(motion_id=theirs.id, account_id=ben.id, voted=False),
        ]
    )


async def _stewards(work: UnitOfWork, ada: Account, ben: Account, cyd: Account) -> None:
    until = work.now + timedelta(days=365)
    for who in (ada, ben):
        await roles.grant(
            work, who.id, "treasurer", until=until, act="founding", reason="The first treasurers"
        )
    await audit.record(work, act="member.looked_up", reason="A question", actor=ben.id, about=ada.id)
    await audit.record(work, act="member.looked_up", reason="Of cyprianna's", actor=ada.id, about=cyd.id)
    reference = await ledger.references.of(work, ada.id)
    await ledger.references.resolve(work, reference, by=ben.id, reason="An audit")
    await approvals.propose(
        work, ben.id, kind="test", document="about her", role="treasurer", reason="Because", about=ada.id
    )
    await approvals.propose(
        work,
        ada.id,
        kind="test",
        document="about cyprianna",
        role="treasurer",
        reason="Because",
        about=cyd.id,
    )


async def _networks(work: UnitOfWork, ada: Account, ben: Account) -> None:
    (network,) = await networks.directory(work)
    alias = await work.session.scalar(select(Alias).where(Alias.account_id == ada.id))
    assert alias is not None
    work.session.add(
        ImportedAccount(
            network_id=network.id,
            folded=alias.folded,
            imported_at=work.now,
            external_id="4711",
            claimed_at=work.now,
        )
    )
    client = await work.session.scalar(select(Client))
    assert client is not None
    await notices.of_client(work, client, ada.id)
    # Written now, rather than by the worker, which would call out.
    await endpoints.create(work, network.id, "https://lantern.example/hooks")
    await announcements.tell_networks_of(work, ada.id, payloads.Linked)
    await admins.add(work, network.id, ben.id, by=None)
    await admins.add(work, network.id, ada.id, by=ben.id)
