import json

import pytest
import structlog

from coop import logs


def test_what_is_not_allowed_is_dropped() -> None:
    entry = logs.allow(
        None, "info", {"event": "signed_in", "email": "ada@example.org", "password": "x", "status": 200}
    )

    assert entry == {"event": "signed_in", "status": 200}


def test_a_fault_names_where_it_happened_and_not_what_it_said() -> None:
    try:
        _fail("ada@example.org")
    except ValueError as error:
        entry = logs.trace(None, "error", {"event": "unexpected", "exc_info": error})

    assert entry["error"] == "ValueError"
    assert "_fail" in str(entry["trace"])
    assert "ada@example.org" not in str(entry)


def test_a_line_is_json_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    try:
        logs.configure()
        structlog.get_logger("coop.test").warning("outbox_failure", kind="Letter", to="ada@example.org")
    finally:
        structlog.configure(**before)

    written = capsys.readouterr()
    assert written.out == ""
    line = json.loads(written.err)
    assert (line["event"], line["kind"], line["level"]) == ("outbox_failure", "Letter", "warning")
    assert "ada@example.org" not in written.err


def _fail(secret: str) -> None:
    raise ValueError(secret)
