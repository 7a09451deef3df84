"""Stripe's library, without the HTTP libraries that it looks for: the adapter gives it the one that it shall use, when it asks."""

from coop.imports import absent

with absent("requests", "httpx", "aiohttp"):
    import stripe

__all__ = ["stripe"]
