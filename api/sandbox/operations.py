"""Operations: a method and a path of Stripe's API, the shape of its parameters and what it does."""

from collections.abc import Callable
from dataclasses import dataclass, field

from api.sandbox.desk import Desk
from api.sandbox.parameters import Shape, text
from api.sandbox.problems import Doc

Run = Callable[..., Doc]


@dataclass(frozen=True)
class Operation:
    """`run(desk, params, *ids)` answers `method path`; `{}` in the path stands for an id."""

    method: str
    path: str
    run: Run
    shape: dict[str, Shape] = field(default_factory=dict)


EXPAND: dict[str, Shape] = {"expand": [text]}


def retrieve(kind: str, path: str) -> Operation:
    """Answer `GET path/{}` with the object."""

    def run(desk: Desk, _params: Doc, name: str) -> Doc:
        return desk.get(kind, name)

    return Operation("GET", f"{path}/{{}}", run)


def changed(desk: Desk, doc: Doc, fields: Doc, event: str) -> Doc:
    """Apply `fields` to an object, keep it, and report the change by `event` with its previous attributes."""
    before = dict(doc)
    doc |= fields
    desk.save(doc)
    desk.emit(event, doc, before)
    return doc
