"""Synapse, the Matrix homeserver, from PyPI in an environment of its own: started by us, in a folder of its own."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from tests.service import answers

PYTHON = Path(__file__).parents[2] / "build" / "synapse" / "bin" / "python"

_SKELETON = """\
server_name: lantern.example
public_baseurl: {origin}/
pid_file: {root}/homeserver.pid
listeners:
  - port: {port}
    type: http
    bind_addresses: ["127.0.0.1"]
    resources:
      - names: [client]
database:
  name: sqlite3
  args: {{database: {root}/homeserver.db}}
log_config: {root}/log.yaml
media_store_path: {root}/media
signing_key_path: {root}/signing.key
macaroon_secret_key: 0123456789abcdef
form_secret: fedcba9876543210
report_stats: false
trusted_key_servers: []
password_config: {{enabled: false}}
"""

_LOG = """\
version: 1
formatters: {{plain: {{format: '%(levelname)s %(name)s %(message)s'}}}}
handlers: {{file: {{class: logging.FileHandler, filename: {root}/homeserver.log, formatter: plain}}}}
root: {{level: INFO, handlers: [file]}}
"""


@contextlib.asynccontextmanager
async def running(port: int, configuration: str) -> AsyncIterator[Path]:
    """Run a homeserver with `configuration` added as an administrator would; yield the file of its log."""
    if not PYTHON.exists():
        msg = "no Synapse in build/synapse: `make test-networks` installs it there"
        raise RuntimeError(msg)
    with tempfile.TemporaryDirectory(prefix="coop-synapse-") as folder:
        root = Path(folder)
        (root / "homeserver.yaml").write_text(
            _SKELETON.format(root=root, port=port, origin=f"http://127.0.0.1:{port}")
        )
        (root / "coop.yaml").write_text(configuration)
        (root / "log.yaml").write_text(_LOG.format(root=root))
        # Synapse reads several files as one configuration.
        command = [str(PYTHON), "-m", "synapse.app.homeserver"]
        files = ["-c", str(root / "homeserver.yaml"), "-c", str(root / "coop.yaml")]
        made = await asyncio.create_subprocess_exec(*command, *files, "--generate-keys")
        assert await made.wait() == 0
        process = await asyncio.create_subprocess_exec(*command, *files, cwd=root)
        try:
            await answers(f"http://127.0.0.1:{port}/health")
            yield root / "homeserver.log"
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
