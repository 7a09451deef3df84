"""The sandbox's memory: one small SQLite file of JSON objects, deliveries, due tasks and idempotent answers."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api.sandbox.problems import Doc

_TABLES = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (kind, seq);
CREATE INDEX IF NOT EXISTS objects_by_intent ON objects (kind, json_extract(body, '$.payment_intent'));
CREATE INDEX IF NOT EXISTS objects_by_customer ON objects (kind, json_extract(body, '$.customer'));
CREATE TABLE IF NOT EXISTS agenda (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, clock TEXT NOT NULL, due REAL NOT NULL, task TEXT NOT NULL,
    ref TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS agenda_by_due ON agenda (clock, due, seq);
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, type TEXT NOT NULL, endpoint TEXT NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL, rank INTEGER NOT NULL DEFAULT 0,
    answer TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS deliveries_by_due ON deliveries (state, due, rank, seq);
CREATE TABLE IF NOT EXISTS faults (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, match TEXT NOT NULL, times INTEGER NOT NULL,
    detail REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL,
    made REAL NOT NULL
);
"""


class Store:
    """One connection, used by one thread at a time (the sandbox holds a lock around each transaction)."""

    def __init__(self, path: Path | None):
        """Open the file at `path`, or memory when there is none."""
        self.connection = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self.connection.row_factory = sqlite3.Row
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=NORMAL")
        self.connection.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside, or nothing of it."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def run(self, sql: str, *values: object) -> int:
        """Execute a statement and return the number of rows it changed."""
        return self.connection.execute(sql, values).rowcount

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        return self.connection.execute(sql, values).fetchall()

    def find(self, name: str) -> Doc | None:
        """Return the object with this id, if there is one."""
        rows = self.rows("SELECT body FROM objects WHERE id = ?", name)
        return self.decode(rows[0]) if rows else None

    def insert(self, kind: str, doc: Doc) -> None:
        """Keep a new object."""
        self.run("INSERT INTO objects (id, kind, body) VALUES (?, ?, ?)", doc["id"], kind, json.dumps(doc))

    def update(self, doc: Doc) -> None:
        """Keep the new state of an object."""
        self.run("UPDATE objects SET body = ? WHERE id = ?", json.dumps(doc), doc["id"])

    def select(
        self, kind: str, condition: str = "1", *values: object, tail: str = "ORDER BY seq"
    ) -> list[Doc]:
        """Return the objects of a kind that meet an SQL condition, oldest first."""
        sql = f"SELECT body FROM objects WHERE kind = ? AND ({condition}) {tail}"
        return [self.decode(row) for row in self.rows(sql, kind, *values)]

    @staticmethod
    def decode(row: sqlite3.Row) -> Doc:
        """Return the object that a row holds."""
        doc: Doc = json.loads(row["body"])
        return doc
