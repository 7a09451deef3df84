"""The chart of accounts: the names under which money is booked, and which side of them grows.

The names are beancount's (`Root:Part:Part`), so that an export needs no translation.
"""

import re
from typing import NewType

from coop.errors import Invalid

LedgerAccount = NewType("LedgerAccount", str)

STRIPE = LedgerAccount("Assets:Stripe")
STRIPE_PENDING = LedgerAccount("Assets:StripePending")
"""Charged, its balance transaction not yet known."""
BANK = LedgerAccount("Assets:Bank")
CASH = LedgerAccount("Assets:Cash")
DISPUTED = LedgerAccount("Assets:Disputed")
"""Held back by the card's bank until a dispute is settled."""
INSTALMENTS_DUE = LedgerAccount("Assets:InstalmentsDue")

DEFERRED_DUES = LedgerAccount("Liabilities:DeferredDues")
"""Dues of months that have not passed yet."""
POOL = LedgerAccount("Liabilities:Pool")
"""The solidarity pool, free to be given."""
RESERVED = LedgerAccount("Liabilities:Reserved")
"""Taken from the pool for checkouts that are still open."""
GIFTS_OUTSTANDING = LedgerAccount("Liabilities:GiftsOutstanding")
MEMBER_CREDIT = LedgerAccount("Liabilities:MemberCredit")
"""Money that arrived without a year to pay for; it goes back, or into one."""
VAT_PAYABLE = LedgerAccount("Liabilities:VATPayable")
COMMON_FUND = LedgerAccount("Liabilities:Networks:CommonFund")
"""The networks' part of members who used none in the period."""

RESERVE = LedgerAccount("Equity:Reserve")
MEMBER_SHARES = LedgerAccount("Equity:MemberShares")

OPERATIONS = LedgerAccount("Income:Operations")
"""Operations' part of the dues of months that have passed."""
GRANTS = LedgerAccount("Income:Grants")

FEES = LedgerAccount("Expenses:Fees")
DISPUTE_FEES = LedgerAccount("Expenses:DisputeFees")
HOSTING = LedgerAccount("Expenses:Hosting")
WAGES = LedgerAccount("Expenses:Wages")
BANK_FEES = LedgerAccount("Expenses:BankFees")
OTHER_COSTS = LedgerAccount("Expenses:Other")

GUARDED = (POOL, RESERVED)
"""Ledger accounts with a balance row of their own, which can never fall below zero."""

OPENING = "import"
"""The source of entries that take over what was paid for before these books began."""
VAT = "vat"
"""The source of entries by which VAT leaves the dues of years that begin."""

CHART = (
    STRIPE,
    STRIPE_PENDING,
    BANK,
    CASH,
    DISPUTED,
    INSTALMENTS_DUE,
    DEFERRED_DUES,
    POOL,
    RESERVED,
    GIFTS_OUTSTANDING,
    MEMBER_CREDIT,
    VAT_PAYABLE,
    COMMON_FUND,
    RESERVE,
    MEMBER_SHARES,
    OPERATIONS,
    GRANTS,
    FEES,
    DISPUTE_FEES,
    HOSTING,
    WAGES,
    BANK_FEES,
    OTHER_COSTS,
)
_NETWORKS = "Liabilities:Networks:"
_EXPENSES = "Expenses:"
_KNOWN = frozenset(CHART)
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_NAME = re.compile(r"(?:Assets|Liabilities|Equity|Income|Expenses)(?::[A-Z0-9][A-Za-z0-9-]{0,62}){1,3}")


class BadLedgerAccount(Invalid):
    """There is no such ledger account in the chart."""

    code = "bad_ledger_account"


def network_payable(slug: str) -> LedgerAccount:
    """Return what is owed to the network `slug`."""
    if not _SLUG.fullmatch(slug):
        raise BadLedgerAccount(f"{slug!r} cannot name a network's ledger account.")
    return LedgerAccount(_NETWORKS + slug[0].upper() + slug[1:])


def network_of(name: str) -> str | None:
    """Return the slug of the network to which `name` says what is owed; nothing for other ledger accounts."""
    if not name.startswith(_NETWORKS) or name == COMMON_FUND:
        return None
    slug = name.removeprefix(_NETWORKS)
    return slug[0].lower() + slug[1:]


def expense(name: str) -> LedgerAccount:
    """Return the ledger account of a kind of cost that the chart does not list, like `Translation`."""
    return known(_EXPENSES + name)


def known(name: str) -> LedgerAccount:
    """Return `name` as a ledger account if it belongs to the chart: listed, a network's, or a cost."""
    if name in _KNOWN or (name.startswith((_NETWORKS, _EXPENSES)) and _NAME.fullmatch(name)):
        return LedgerAccount(name)
    raise BadLedgerAccount(f"There is no ledger account {name!r} in the chart.")


def grows_by_debit(name: str) -> bool:
    """Tell whether debits make `name` larger (assets, costs); credits do for all others."""
    return name.startswith(("Assets:", "Expenses:"))
