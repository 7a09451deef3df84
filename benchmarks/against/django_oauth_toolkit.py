"""Django OAuth Toolkit under gunicorn, one process with threads, in an environment of its own."""

import contextlib
import os
import secrets
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio

from benchmarks import contenders, processes
from benchmarks.against import CLIENT_ID, CLIENT_SECRET, Comparator
from benchmarks.cooperative import CALLBACK, CHALLENGE

FOLDER = Path(__file__).parent / "django-oauth-toolkit"
PYTHON = FOLDER / ".venv" / "bin" / "python"
SERVICE_ID = "lagoon-service"
ENDPOINTS = {
    "client-credentials": "/o/token/",
    "code-exchange": "/o/token/",
    "refresh": "/o/token/",
    "introspection": "/o/introspect/",
}


@contextlib.asynccontextmanager
async def running(server: str, members: int) -> AsyncIterator[Comparator]:
    """Serve it over a database of its own."""
    await _install()
    url = await contenders.create_database(server, "django_oauth_toolkit")
    port = processes.free_port()
    environment = dict(os.environ) | {
        "DATABASE_URL": url.replace("+asyncpg", ""),
        "DJANGO_SECRET_KEY": secrets.token_hex(32),
        "CLIENT_ID": CLIENT_ID,
        "SERVICE_ID": SERVICE_ID,
        "CLIENT_SECRET": CLIENT_SECRET,
        "REDIRECT_URI": CALLBACK,
        "CODE_CHALLENGE": CHALLENGE,
        "MEMBERS": str(members),
    }
    command = [
        *(str(PYTHON), "-m", "gunicorn", "wsgi:application", "--bind", f"127.0.0.1:{port}"),
        *(
            "--workers",
            "1",
            "--threads",
            "8",
            "--keep-alive",
            "75",
            "--timeout",
            "120",
            "--log-level",
            "warning",
        ),
    ]
    with processes.running(
        command, port=port, environment=environment, folder=FOLDER, ready="/seed/ANALYZE/1"
    ) as pid:
        yield Comparator(
            "django-oauth-toolkit", port, pid, f"http://127.0.0.1:{port}/seed", ENDPOINTS, SERVICE_ID
        )


async def _install() -> None:
    """Make the environment that the lock describes, unless that is done already."""
    lock, stamp = anyio.Path(FOLDER / "requirements.lock"), anyio.Path(FOLDER / ".venv" / "stamp")
    if await stamp.exists() and (await stamp.stat()).st_mtime >= (await lock.stat()).st_mtime:
        return
    await anyio.run_process([sys.executable, "-m", "venv", str(FOLDER / ".venv")])
    install = [str(PYTHON), "-m", "pip", "install", "--quiet", "--quiet", "--require-hashes", "-r", str(lock)]
    await anyio.run_process(install, stderr=None)
    await stamp.touch()
