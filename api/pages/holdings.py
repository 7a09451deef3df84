"""What we hold about a person: the list behind /privacy, which a test compares with the tables of the database."""

import msgspec

from api.pages.languages import marked


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of data about a person, in words for that person; `tables` says where it lies."""

    what: str
    why: str
    who: str
    until: str
    tables: tuple[str, ...]


HOLDINGS = (
    Holding(
        what=marked("Your handle, and the display name and language if you gave them"),
        why=marked("To know you again when you come back."),
        who=marked(
            "You. A network sees the name that you chose for it, not this one, unless you choose to use it there."
        ),
        until=marked(
            "Until you erase the account. A keyed digest of the handle stays, so that nobody can take your name."
        ),
        tables=("accounts", "retired_handles"),
    ),
    Holding(
        what=marked("Your e-mail address, if you gave one"),
        why=marked("Receipts, security and votes; nothing else unless you ask for it."),
        who=marked(
            "You, and Stripe if you pay by card. A network only if you switch it on for that network."
        ),
        until=marked("Until you remove it or erase the account."),
        tables=("accounts", "mail_links", "outbox", "mailbox"),
    ),
    Holding(
        what=marked("Your password as a digest, your passkeys' public halves, digests of recovery codes"),
        why=marked(
            "To let you in, and nobody else. None of them can be turned back into what you know or hold."
        ),
        who=marked("Nobody."),
        until=marked("Until you replace or remove them."),
        tables=("accounts", "passkeys", "passkey_challenges", "recovery_codes"),
    ),
    Holding(
        what=marked("Browsers in which you are signed in, with the day each was last used"),
        why=marked("So that you can see them and sign out there."),
        who=marked("You."),
        until=marked("Until you sign out; at the latest 90 days."),
        tables=("browser_sessions",),
    ),
    Holding(
        what=marked("Which networks were told that you signed out, and whether they heard"),
        why=marked("So that you can see where you may still be signed in."),
        who=marked("You. Each network is told of its own part only."),
        until=marked("30 days."),
        tables=("logout_notices",),
    ),
    Holding(
        what=marked("Your membership: when each year began and ends, and the price then"),
        why=marked("To keep the member register and to tell networks that you are a member."),
        who=marked("You and stewards. Networks learn active or none, and the month, never how it was paid."),
        until=marked("As long as the co-op must keep its register."),
        tables=("members", "terms", "imported_memberships", "renewal_notices"),
    ),
    Holding(
        what=marked("What you paid and what the solidarity pool added"),
        why=marked(
            "To keep the books. The books name a random reference, not you; erasing the account cuts the link."
        ),
        who=marked("You, the treasurer and, for cards, Stripe. Card numbers go to Stripe and never to us."),
        until=marked("Amounts stay in the books for ever; the link to you until you erase the account."),
        tables=(
            "checkouts",
            "customers",
            "card_visits",
            "obstacles",
            "payments",
            "refunds",
            "receipts",
            "disputes",
            "subscriptions",
            "instalment_plans",
            "household_years",
            "operations",
            "stripe_events",
            "stripe_differences",
            "gifts",
            "person_references",
            "reference_lookups",
            "journal_entries",
            "postings",
            "recognitions",
            "vat_lines",
        ),
    ),
    Holding(
        what=marked(
            "A bank transfer that you announced, and what the bank says of it: your name there, your account number, what you wrote"
        ),
        why=marked("To find out whose money it is, and to be able to send it back."),
        who=marked("You, the treasurer and your bank."),
        until=marked(
            "What the bank says is forgotten 400 days after it was matched; day and amount stay with the payment."
        ),
        tables=("transfers", "bank_transactions"),
    ),
    Holding(
        what=marked("Which household you are in, if any, and who pays there"),
        why=marked("So that one of you can pay for all."),
        who=marked("The people of the household: your handle. No network."),
        until=marked("Until you leave it."),
        tables=("households", "household_members", "household_invitations"),
    ),
    Holding(
        what=marked("Which organisation your account stands for, if it stands for one"),
        why=marked("Because organisations pay more and have no vote."),
        who=marked("You and the treasurer. No network."),
        until=marked("Until you erase the account."),
        tables=("organisations",),
    ),
    Holding(
        what=marked("That you asked for a place, when, and where you stand in the queue"),
        why=marked(
            "To give places in the order in which they were asked for. There is no reason or proof to hold."
        ),
        who=marked("You."),
        until=marked(
            "Until five weeks after the request has ended; of a place that was given, as long as the books of its year. A keyed "
            "digest of the address you asked with stays for a year, so that it serves one account."
        ),
        tables=("places", "pool_reservations"),
    ),
    Holding(
        what=marked(
            "The organisation for which you sponsor, if you named one, and whether it wants to be named"
        ),
        why=marked("To name it if it wants that, and to find its payments."),
        who=marked(
            "You and the treasurer; everybody if you chose so, and a treasurer has confirmed the name."
        ),
        until=marked("Until you erase the account."),
        tables=("institutions",),
    ),
    Holding(
        what=marked(
            "The networks you use: your name there, what you agreed to share, and the keys they hold"
        ),
        why=marked("To sign you in there, and to let you cut a network off."),
        who=marked(
            "You; each network sees its own part only, under an identifier that no other network knows."
        ),
        until=marked("Until you disconnect the network."),
        tables=(
            "links",
            "aliases",
            "retired_aliases",
            "consents",
            "grants",
            "access_tokens",
            "refresh_tokens",
            "deliveries",
        ),
    ),
    Holding(
        what=marked(
            "A name that you had on a network before it joined, with a keyed digest of your address there"
        ),
        why=marked("So that you, and nobody else, can go on with that account."),
        who=marked("The network, which told us. The digest cannot be turned back into the address."),
        until=marked(
            "The digest until you claim the account, at most 180 days; the name is never given to anybody else."
        ),
        tables=("imported_accounts", "aliases"),
    ),
    Holding(
        what=marked("That you were on the roll of a vote and whether you voted"),
        why=marked("To let each member vote once."),
        who=marked("You. The ballot itself lies apart from your name, under a random number."),
        until=marked("Until the decision has taken effect; then the roll is forgotten."),
        tables=("roll", "ballots"),
    ),
    Holding(
        what=marked("Motions that you proposed, seconded or argued against"),
        why=marked("To bring them before the members."),
        who=marked("Everybody sees the words; your name does not stand beside them."),
        until=marked("As long as the record of votes is kept."),
        tables=("motions", "motion_seconds"),
    ),
    Holding(
        what=marked("That you asked to have your account erased, when, and when it was done"),
        why=marked("To do it on its day, and to be able to show that it was done."),
        who=marked("You, as long as you can change your mind."),
        until=marked("For ever, under an identifier that leads to nobody."),
        tables=("erasures",),
    ),
    Holding(
        what=marked("How often somebody tried to sign in, counted"),
        why=marked("So that nobody can guess your password, or anybody's."),
        who=marked("Nobody. The count stands behind a keyed digest, from which no address can be read."),
        until=marked("What is older than an hour no longer counts."),
        tables=("attempts",),
    ),
    Holding(
        what=marked("Acts of stewards that concern you, with their reasons"),
        why=marked("So that nobody can act on your account unseen."),
        who=marked("You, and stewards."),
        until=marked("For ever: the log can only grow."),
        tables=("audit_log", "roles", "proposals", "network_admins"),
    ),
)

NOTHING_OF_A_PERSON = frozenset(
    "clients clock_offset covenant_signatures ledger_balances networks pairwise_fingerprint place_queue pool_mornings "
    "policy_versions receipt_series schedule seals signing_keys stripe_reconciliations stripe_streams used_assertions vat_payments webhook_endpoints".split()
)
"""The tables that hold nothing about a person."""
