"""The report: one table for people, one file for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table as Grid

from benchmarks.measuring import Row, Table

OURS = "coop"


def show(console: Console, tables: Sequence[Table]) -> None:
    """Print what was measured, a block for each path."""
    for engine in dict.fromkeys(table.engine for table in tables):
        console.print(_grid(engine, [table for table in tables if table.engine == engine]))
    others = [share for table in tables for share in table.others]
    if others:
        console.print(
            f"Other programs used {median(others):.0%} of the processors while this ran, "
            f"{max(others):.0%} in the worst round."
        )
    for table in tables:
        for row in table.rows:
            if row.failed:
                console.print(
                    f"[bold red]{table.engine} {table.path}, {row.contender}: {row.failed} answers were not as wanted.[/]"
                )


def _grid(engine: str, tables: Sequence[Table]) -> Grid:
    title = f"{engine}: median of the rounds, slowest and quickest in brackets"
    grid = Grid(title=title, title_justify="left")
    for heading in ("path", "who"):
        grid.add_column(heading)
    for heading in ("requests/s", "coop ÷ it", "p50 ms", "p99 ms", "CPU µs", "database", "MB"):
        grid.add_column(heading, justify="right")
    for table in tables:
        for row in table.rows:
            grid.add_row(*_cells(table, row, table.rows[0]))
        grid.add_section()
    return grid


def _cells(table: Table, row: Row, ours: Row) -> tuple[str, ...]:
    low, high = row.spread
    server = row.median(lambda s: s.server_cpu * 1e6 / s.requests if s.requests else 0)
    database = row.median(lambda s: s.database_cpu * 1e6 / s.requests if s.requests else 0)
    memory = row.median(lambda s: s.memory)
    return (
        table.path if row is ours else "",
        row.contender,
        f"{row.rate:,.0f} ({low:,.0f}-{high:,.0f})",
        "" if row is ours else f"{ours.ratio(row):.2f}",
        f"{row.median(lambda s: s.p50):.1f}",
        f"{row.median(lambda s: s.p99):.1f}",
        f"{server:.0f}" if server else "",
        f"{database:.0f}" if database else "",
        f"{memory:.0f}" if memory else "",
    )


def write(path: Path, facts: dict[str, object], tables: Sequence[Table]) -> None:
    """Write every round of every row."""
    told = {
        "machine": facts,
        "tables": [
            {
                "engine": table.engine,
                "path": table.path,
                "others": table.others,
                "rows": [
                    {
                        "who": row.contender,
                        "requests_per_second": row.rate,
                        "ours_by_theirs": table.rows[0].ratio(row),
                        "failed": row.failed,
                        "rounds": [asdict(sample) for sample in row.samples],
                    }
                    for row in table.rows
                ],
            }
            for table in tables
        ],
    }
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
