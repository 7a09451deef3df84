"""The steward's desk: what waits to be decided, and by whom. Each look at a person is logged, and that person reads it."""

from litestar.types import ControllerRouterHandler

from api.pages.steward import entries, money, overview, people, proposals, statement, taxes

routes: list[ControllerRouterHandler] = [
    *entries.routes,
    *money.routes,
    *overview.routes,
    *people.routes,
    *proposals.routes,
    *statement.routes,
    *taxes.routes,
]
