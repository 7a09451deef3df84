"""The law with which a cooperative begins; its members may change every word and number of it."""

from pathlib import Path

from sqlalchemy import select

from coop.policies.documents import (
    Admission,
    Covenant,
    Document,
    Dues,
    Majority,
    Policy,
    Pool,
    Privacy,
    Shares,
    Terms,
    Voting,
)
from coop.policies.versions import PolicyVersion, adopt
from coop.unit_of_work import UnitOfWork

ACT = "founding"
_HERE = Path(__file__).parent


def text(name: str) -> str:
    """Return one of the founding texts, as Markdown."""
    return (_HERE / f"{name}.md").read_text(encoding="utf-8")


def documents() -> tuple[Document, ...]:
    """Return the founding documents, in the order in which they become law."""
    return (
        Dues(
            price=2500,
            suggested=(500, 1500, 2500, 4000),
            minimum_card=200,
            grace_days=60,
            notice_days=(30, 7),
            withdrawal_days=14,
            instalments=12,
            household=6,
            organisation=10_000,
        ),
        Pool(
            order="first_asked_first_served",
            reservation_hours=24,
            offer_days=7,
            reserve_before_end_days=3,
            credit_days=30,
            max_new_places_month=100,
            verified_email=True,
        ),
        Shares(
            networks=6000,
            operations=3000,
            reserve=1000,
            card_fee=290,
            card_fee_fixed=30,
            unused="common_fund",
            pool_funded_cap=5000,
            pool_funded_delay_days=60,
            minimum_contributors=10,
        ),
        Voting(
            ordinary=Majority(numerator=1, denominator=2, strict=True),
            economic=Majority(numerator=3, denominator=5),
            constitutional=Majority(numerator=2, denominator=3),
            charter=Majority(numerator=3, denominator=4),
            quorum_root=150,
            quorum_share=200,
            charter_quorum_share=500,
            seconders=2,
            discussion_days=7,
            voting_days=14,
            cooling_off_days=7,
            minimum_membership_days=30,
            max_growth=2500,
            founding_until_members=30,
            founding_days=365,
            emergency_days=30,
        ),
        Terms(text=text("terms"), notice_days=30),
        Covenant(text=text("covenant"), sign_within_days=30),
        Privacy(text=text("privacy"), erasure_days=14),
        Admission(mode="open", minimum_age=16, email_required=False),
    )


async def found(work: UnitOfWork) -> None:
    """Give a new cooperative its founding law; kinds that have any law already keep it."""
    known = set(await work.session.scalars(select(PolicyVersion.kind).distinct()))
    for document in documents():
        if document.kind() not in known:
            await _adopt_founding(work, document)


async def _adopt_founding(work: UnitOfWork, document: Policy) -> None:
    await adopt(work, document, act=ACT, effective_at=work.now, replaces=None)
