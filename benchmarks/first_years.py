"""Laying out what pgbench needs to write first years: accounts and their open checkouts, named so that each client finds its own."""

import secrets

from sqlalchemy import text

from benchmarks.cooperative import Cooperative, analyse
from benchmarks.load import CONNECTIONS
from coop import policies
from coop.policies import Dues

A_SECOND = 600
"""More years than one of the connections writes in a second."""

_ACCOUNTS = text("""
INSERT INTO accounts (id, handle, skeleton, created_at, email, locale)
SELECT md5('account' || name)::uuid, md5(name), md5(name), now(), md5(name) || '@example.org', 'en'
FROM (SELECT :round || '.' || client || '.' || n AS name
      FROM generate_series(0, :clients - 1) AS client, generate_series(1, :each) AS n) AS named
""")
_CHECKOUTS = text("""
INSERT INTO checkouts (id, key, account_id, purpose, amount, price, policy_version, automatic, instalments, next_path, begun_at,
                       expires_at, state, gateway_id, url)
SELECT md5('checkout' || name)::uuid, md5(name), md5('account' || name)::uuid, 'dues', 2500, 2500, :law, false, 0, '/account',
       now(), now(), 'open', 'cs_test_' || md5('checkout' || name)::uuid, 'http://127.0.0.1/' || name
FROM (SELECT :round || '.' || client || '.' || n AS name
      FROM generate_series(0, :clients - 1) AS client, generate_series(1, :each) AS n) AS named
""")


async def lay_out(cooperative: Cooperative, seconds: float) -> dict[str, str]:
    """Make newcomers for a round of pgbench, and return its variables."""
    # In which no two rounds are alike, as digits: pgbench takes other texts for numbers that it cannot read.
    round_ = str(10**8 + secrets.randbelow(10**9))
    async with cooperative.units.open() as work:
        law = (await policies.in_force(work, Dues)).id
        named = {"round": round_, "clients": CONNECTIONS, "each": round(A_SECOND * max(1.0, seconds))}
        await work.session.execute(_ACCOUNTS, named)
        await work.session.execute(_CHECKOUTS, named | {"law": law})
    await analyse(cooperative.units)
    return {"round": round_, "law": str(law), "n": "0"}
