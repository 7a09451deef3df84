"""Test clocks: a customer's own time, moved by whoever tests."""

from api.sandbox.agenda import work_off
from api.sandbox.desk import Desk
from api.sandbox.listing import listed
from api.sandbox.operations import EXPAND, Operation, retrieve
from api.sandbox.parameters import count, need, text
from api.sandbox.problems import Doc, StripeProblem
from api.sandbox.terms import DAY


def _create(desk: Desk, params: Doc) -> Doc:
    need(params, "frozen_time")
    clock = desk.new(
        "test_helpers.test_clock",
        {
            "deletes_after": desk.now + 30 * DAY,
            "frozen_time": params["frozen_time"],
            "name": params.get("name"),
            "status": "ready",
            "status_details": {},
        },
    )
    desk.emit("test_helpers.test_clock.created", clock)
    return clock


def _advance(desk: Desk, params: Doc, name: str) -> Doc:
    need(params, "frozen_time")
    clock = desk.get("test_helpers.test_clock", name)
    goal = params["frozen_time"]
    if goal <= clock["frozen_time"]:
        raise StripeProblem("The new frozen_time must be after the current one.", param="frozen_time")
    details = {"advancing": {"target_frozen_time": goal}}
    advancing = clock | {"status": "advancing", "status_details": details, "frozen_time": goal}
    desk.emit("test_helpers.test_clock.advancing", advancing)
    work_off(desk, goal, clock=name)
    ready = desk.save(clock | {"frozen_time": goal})
    desk.emit("test_helpers.test_clock.ready", ready)
    return advancing


def _delete(desk: Desk, _params: Doc, name: str) -> Doc:
    clock = desk.get("test_helpers.test_clock", name)
    for customer in desk.where("customer", test_clock=name):
        desk.save({"id": customer["id"], "object": "customer", "deleted": True})
    desk.store.run("DELETE FROM agenda WHERE clock = ?", name)
    desk.emit("test_helpers.test_clock.deleted", clock)
    return desk.save({"id": name, "object": "test_helpers.test_clock", "deleted": True})


_PATH = "/v1/test_helpers/test_clocks"
OPERATIONS = [
    Operation("POST", _PATH, _create, EXPAND | {"frozen_time": count, "name": text}),
    listed("test_helpers.test_clock", _PATH, dated=False),
    retrieve("test_helpers.test_clock", _PATH),
    Operation("POST", f"{_PATH}/{{}}/advance", _advance, EXPAND | {"frozen_time": count}),
    Operation("DELETE", f"{_PATH}/{{}}", _delete),
]
