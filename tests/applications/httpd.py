"""Apache's httpd with Debian's libapache2-mod-auth-openidc: started by us, in a folder of its own, on loopback.

Where it is missing the tests fail and say what to install: an application nobody tried is no witness.
"""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from tests.service import answers

PROGRAM = Path("/usr/sbin/apache2")
MODULES = Path("/usr/lib/apache2/modules")
MODULE = MODULES / "mod_auth_openidc.so"
SECRET_PAGE = "Only members read this."

_SKELETON = """\
ServerRoot {root}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {root}/httpd.pid
ErrorLog {root}/error.log
LogLevel warn auth_openidc:info
{user}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authn_core_module {modules}/mod_authn_core.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule authz_user_module {modules}/mod_authz_user.so
LoadModule auth_openidc_module {modules}/mod_auth_openidc.so
DocumentRoot {root}/htdocs
Include {root}/coop.conf
"""


def lay_out(root: Path, port: int, configuration: str) -> None:
    """Write what httpd needs into the folder `root`."""
    if not PROGRAM.exists() or not MODULE.exists():
        msg = "no Apache with mod_auth_openidc: apt-get install apache2-bin libapache2-mod-auth-openidc"
        raise RuntimeError(msg)
    # Started by root, httpd serves as a user of less power, who must get at the pages.
    root.chmod(0o755)
    (root / "htdocs" / "members").mkdir(parents=True)
    (root / "htdocs" / "members" / "page.txt").write_text(SECRET_PAGE)
    (root / "coop.conf").write_text(configuration)
    user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
    skeleton = _SKELETON.format(root=root, port=port, user=user, modules=MODULES)
    (root / "httpd.conf").write_text(skeleton)


@contextlib.asynccontextmanager
async def running(port: int, configuration: str) -> AsyncIterator[Path]:
    """Run httpd with `configuration` as an administrator would include it; yield the file of its errors."""
    with tempfile.TemporaryDirectory(prefix="coop-httpd-") as folder:
        root = Path(folder)
        lay_out(root, port, configuration)
        process = await asyncio.create_subprocess_exec(
            str(PROGRAM), "-f", str(root / "httpd.conf"), "-DFOREGROUND"
        )
        try:
            await answers(f"http://127.0.0.1:{port}/")
            yield root / "error.log"
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
