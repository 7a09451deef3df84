"""Rules of meaning that no schema knows: what Stripe refuses although every word of it is well formed."""

from api.sandbox.problems import StripeProblem

ZERO_DECIMAL = frozenset({"clp", "jpy", "krw", "vnd"})
_LEAST = {
    "aed": 200, "aud": 50, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30,
    "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200,
    "ron": 200, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip


def least(currency: str) -> int:
    """Return the smallest charge in a currency, in minor units."""
    return _LEAST.get(currency, 50)


def enough(amount: int, currency: str, param: str = "amount") -> None:
    """Refuse a charge below the minimum: fees would eat it."""
    if amount < least(currency):
        raise StripeProblem(
            f"Amount must be at least {written(least(currency), currency)}",
            code="amount_too_small",
            param=param,
        )


def written(amount: int, currency: str) -> str:
    """Return an amount as people read it: `25.00 USD`."""
    if currency in ZERO_DECIMAL:
        return f"{amount} {currency.upper()}"
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // 100}.{abs(amount) % 100:02} {currency.upper()}"
