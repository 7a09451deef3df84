"""The terms on which the sandbox does business: fees, delays, retries. Tests and the demo choose their own."""

from dataclasses import dataclass, field

API_VERSION = "2026-10-28.endive"
HOUR = 3600
DAY = 24 * HOUR


@dataclass(frozen=True, kw_only=True)
class Terms:
    """All delays are in seconds of business time, but for `delivery_delays`, which are in real seconds."""

    country: str = "US"
    currency: str = "usd"
    fee_permille: int = 29
    fee_fixed: int = 30
    dispute_fee: int = 1500
    balance_delay: float = 1.0
    dispute_delay: float = 60.0
    debit_delay: float = 4 * DAY
    available_after: float = 2 * DAY
    finalize_after: float = HOUR
    upcoming_days: int = 30
    retry_days: tuple[int, ...] = (3, 5, 6)
    payout_delay: float = 2 * DAY
    delivery_delays: tuple[float, ...] = (1, 5, 30, 120, 600, 3600, 6 * HOUR, 12 * HOUR)
    delivery_timeout: float = 10.0
    answers_live: float = 24 * HOUR
    keys: frozenset[str] = field(default_factory=frozenset, repr=False)
    """The accepted secret keys; when empty, any `sk_test_…` or `rk_test_…` will do."""

    def fee(self, amount: int) -> int:
        """Return Stripe's fee on a charge of `amount`, rounded half up."""
        return (amount * self.fee_permille + 500) // 1000 + self.fee_fixed
