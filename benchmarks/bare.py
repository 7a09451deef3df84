"""The least that a route of our stack can do: one SELECT, or one INSERT and its COMMIT, on the service's own engines."""

import os
import secrets

import uvicorn
from litestar import Litestar, Response, get, post
from litestar.datastructures import State
from sqlalchemy import Column, LargeBinary, MetaData, String, Table, insert, select, text

from coop.database import make_engine

ROWS = Table(
    "bench_rows",
    MetaData(),
    Column("digest", LargeBinary(32), primary_key=True),
    Column("said", String(300)),
)
KNOWN = bytes(32)


@get("/select")
async def select_one(state: State) -> Response[bytes]:
    """Read one row by its key."""
    async with state["reader"].connect() as connection:
        said = await connection.scalar(select(ROWS.c.said).where(ROWS.c.digest == KNOWN))
    return Response(b'{"said": "%s"}' % said.encode(), media_type="application/json")


@post("/insert", status_code=200)
async def insert_one(state: State) -> Response[bytes]:
    """Keep one row."""
    async with state["writer"].begin() as connection:
        await connection.execute(insert(ROWS).values(digest=secrets.token_bytes(32), said="a row"))
    return Response(b'{"said": "a row"}', media_type="application/json")


async def _prepare(app: Litestar) -> None:
    async with app.state["writer"].begin() as connection:
        await connection.run_sync(ROWS.metadata.create_all)
        await connection.execute(insert(ROWS).values(digest=KNOWN, said="a row"))
    async with app.state["writer"].begin() as connection:
        await connection.execute(text("ANALYZE"))


def create_app(database_url: str) -> Litestar:
    """Return the application over one database."""
    state = {role: make_engine(database_url, role) for role in ("reader", "writer")}
    return Litestar(
        [select_one, insert_one],
        on_startup=[_prepare],
        state=State(state),
        openapi_config=None,
        logging_config=None,
    )


if __name__ == "__main__":
    app = create_app(os.environ["COOP_DATABASE_URL"])
    uvicorn.run(
        app, host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), access_log=False, log_level="warning"
    )
