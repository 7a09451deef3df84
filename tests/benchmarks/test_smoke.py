"""`make bench`, as short as it can be: every path is asked and answers as it should."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks import paths
from tests.demo import ROOT


def test_every_path_is_measured_on_sqlite(tmp_path: Path) -> None:
    told = tmp_path / "bench.json"
    command = [
        *(sys.executable, "-m", "benchmarks", "--engine", "sqlite", "--processes", "1", "--members", "20"),
        *("--rounds", "1", "--seconds", "0.2", "--warm-up", "0", "--own-generator", "--json", str(told)),
    ]

    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    tables = {table["path"]: table for table in json.loads(told.read_text(encoding="utf-8"))["tables"]}
    assert list(tables) == list(paths.every())
    for table in tables.values():
        for row in table["rows"]:
            assert row["rounds"][0]["requests"] > 0, (table["path"], row["who"])
            assert row["failed"] == 0, (table["path"], row["who"])


def test_an_unknown_path_is_refused_with_those_there_are() -> None:
    command = [sys.executable, "-m", "benchmarks", "--only", "refreshment"]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert refused.returncode == 2
    assert "client-credentials" in refused.stderr
