"""The report: one table for people, one file for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table as Grid

from benchmarks import renewal
from benchmarks.goals import Finding, findings
from benchmarks.measuring import Row, Table


def show(console: Console, tables: Sequence[Table]) -> None:
    """Print what was measured, a block for each path, then the goals, then what to make of it."""
    for engine in dict.fromkeys(table.engine for table in tables):
        console.print(_measured(engine, [table for table in tables if table.engine == engine]))
    if found := findings(tables):
        console.print(_goals(found))
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
                    f"[bold red]{table.engine} {table.path}, {row.contender}: "
                    f"{row.failed} answers were not as wanted.[/]"
                )


def _measured(engine: str, tables: Sequence[Table]) -> Grid:
    title = f"{engine}: median of the rounds, slowest and quickest in brackets"
    grid = Grid(title=title, title_justify="left")
    for heading in ("path", "who"):
        grid.add_column(heading)
    for heading in (
        "requests/s",
        "coop ÷ it",
        "p50 ms",
        "p99 ms",
        "CPU µs",
        "its ÷ coop",
        "database µs",
        "MB",
    ):
        grid.add_column(heading, justify="right")
    for table in tables:
        for row in table.rows:
            grid.add_row(*_cells(table, row, table.rows[0]))
        grid.add_section()
    return grid


def _cells(table: Table, row: Row, ours: Row) -> tuple[str, ...]:
    low, high = row.spread
    memory = row.median(lambda sample: sample.memory)
    dearer = row.server_cpu / ours.server_cpu if ours.server_cpu else 0.0
    return (
        table.path if row is ours else "",
        row.contender,
        f"{row.rate:,.0f} ({low:,.0f}-{high:,.0f})",
        "" if row is ours else f"{ours.ratio(row):.2f}",
        f"{row.median(lambda sample: sample.p50):.1f}",
        f"{row.median(lambda sample: sample.p99):.1f}",
        f"{row.server_cpu:.0f}" if row.server_cpu else "",
        "" if row is ours or not dearer else f"{dearer:.2f}",
        f"{row.database_cpu:.0f}" if row.database_cpu else "",
        f"{memory:.0f}" if memory else "",
    )


def _goals(found: Sequence[Finding]) -> Grid:
    grid = Grid(title="goals: one process of coop beside one of theirs", title_justify="left")
    for heading in ("what", "goal", "here", ""):
        grid.add_column(heading)
    for each in found:
        grid.add_row(each.what, each.goal, each.here, "reached" if each.reached else "not yet")
    return grid


def renewed(found: Sequence[renewal.Finding]) -> Grid:
    """Return what renewals took, beside the same work as set-based SQL."""
    grid = Grid(title="renewal of a whole line by the pool, once each", title_justify="left")
    for heading in ("engine", "members", "SQL s", "coop s", "coop ÷ SQL", "goal", "CPU s", "MB", "MB at 1 %"):
        grid.add_column(heading, justify="right")
    for each in found:
        grid.add_row(
            each.engine,
            f"{each.members}",
            f"{each.sql_seconds:.1f}",
            f"{each.coop_seconds:.1f}",
            f"{each.ratio:.2f}",
            f"<= {renewal.MOST:.1f}",
            f"{each.coop_cpu:.1f}",
            f"{each.memory:.0f}",
            f"{each.memory_of_few:.0f}",
        )
    return grid


def write(
    path: Path, facts: dict[str, object], tables: Sequence[Table], renewals: Sequence[renewal.Finding] = ()
) -> None:
    """Write every round of every row."""
    told = {
        "machine": facts,
        "renewals": [renewal.told(each) for each in renewals],
        "tables": [
            {
                "engine": table.engine,
                "path": table.path,
                "others": table.others,
                "rows": [
                    {
                        "who": row.contender,
                        "requests_per_second": row.rate,
                        "server_microseconds": row.server_cpu,
                        "database_microseconds": row.database_cpu,
                        "ours_by_theirs": table.rows[0].ratio(row),
                        "failed": row.failed,
                        "rounds": [asdict(sample) for sample in row.samples],
                    }
                    for row in table.rows
                ],
            }
            for table in tables
        ],
        "goals": [asdict(finding) for finding in findings(tables)],
    }
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
