"""Waits for servers that were started a moment ago."""

import contextlib

import anyio
import httpx

from coop.errors import Unavailable


async def answering(url: str) -> None:
    """Wait until `url` answers."""
    async with httpx.AsyncClient() as client:
        for _ in range(600):
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(url, timeout=2)).is_success:
                    return
            await anyio.sleep(0.05)
    raise Unavailable(f"{url} does not answer")
