import json

import httpx
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


async def test_a_fault_behind_a_secret_address_names_the_route_and_not_the_secret(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr("coop.sponsorship.gifts.find", fails)
    with structlog.testing.capture_logs() as lines:
        answer = await client.get("/gift/a-link-that-opens-a-year")

    assert answer.status_code == 500
    assert [line["path"] for line in lines if line["event"] == "unexpected"] == ["/gift/{secret}"]
    assert "a-link-that-opens-a-year" not in str(lines)


def _fail(secret: str) -> None:
    raise ValueError(secret)
