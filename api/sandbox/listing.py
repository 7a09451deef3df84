"""Lists, pages of lists and searches, as Stripe answers them."""

import re
from collections.abc import Mapping

from api.sandbox.desk import Desk
from api.sandbox.operations import Operation
from api.sandbox.parameters import Shape, count, created, text
from api.sandbox.problems import Doc, StripeProblem, no_such

PAGE = 10
LONGEST_PAGE = 100
_CURSORS = {"limit", "starting_after", "ending_before"}
_COMPARE = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_CLAUSE = re.compile(
    r"""\s*(-)?(?:metadata\[(["'])(?P<key>[^"']{1,40})\2\]|(?P<field>[a-z_]+))\s*(?P<op>:|>=|<=|>|<)\s*"""
    r"""(?:(["'])(?P<text>[^"']*)\6|(?P<number>-?[0-9]+)|(?P<null>null))\s*"""
)


def page(data: list[Doc], url: str, *, more: bool = False) -> Doc:
    """Return a list object."""
    return {"object": "list", "data": data, "has_more": more, "url": url}


def listed(
    kind: str,
    path: str,
    *,
    filters: Mapping[str, Shape] | None = None,
    columns: Mapping[str, str] | None = None,
    parent: str | None = None,
    dated: bool = True,
) -> Operation:
    """Answer `GET path`, newest first; `parent` is the field that the id in the path must equal."""
    columns = columns or {}
    shape: dict[str, Shape] = {
        "limit": count,
        "starting_after": text,
        "ending_before": text,
        **({"created": created} if dated else {}),
        **(filters or {}),
    }

    def run(desk: Desk, params: Doc, *ids: str) -> Doc:
        conditions: list[str] = []
        values: list[object] = []
        if parent is not None:
            conditions.append(f"json_extract(body, '$.{parent}') = ?")
            values.append(ids[0])
        for name, value in params.items():
            if name not in _CURSORS and value is not None:
                _filter(columns.get(name, name), value, conditions, values)
        if kind == "subscription" and "status" not in params:
            conditions.append("json_extract(body, '$.status') <> 'canceled'")
        if kind in {"balance_transaction", "payout"}:
            conditions.append("coalesce(json_extract(body, '$._account'), '') = ?")
            values.append(desk.account)
        return _page_of(desk, kind, path.format(*ids), conditions, values, params)

    return Operation("GET", path, run, shape)


def _filter(column: str, value: object, conditions: list[str], values: list[object]) -> None:
    """Add the condition that a parameter of a list stands for."""
    at = f"json_extract(body, '$.{column}')"
    if isinstance(value, dict):
        conditions.extend(f"{at} {_COMPARE[comparison]} ?" for comparison in value)
        values.extend(value.values())
    elif isinstance(value, list):
        conditions.append(f"{at} IN ({', '.join('?' * len(value))})")
        values.extend(value)
    elif (column, value) != ("status", "all"):
        conditions.append(f"{at} = ?")
        values.append(value)


def _page_of(
    desk: Desk, kind: str, url: str, conditions: list[str], values: list[object], params: Doc
) -> Doc:
    limit = PAGE if params.get("limit") is None else params["limit"]
    if not 1 <= limit <= LONGEST_PAGE:
        raise StripeProblem(
            f"Limit must be between 1 and {LONGEST_PAGE}", code="parameter_invalid_integer", param="limit"
        )
    order = "DESC"
    for name, sign in (("starting_after", "<"), ("ending_before", ">")):
        cursor = params.get(name)
        if cursor is not None:
            rows = desk.store.rows("SELECT seq FROM objects WHERE id = ? AND kind = ?", cursor, kind)
            if not rows:
                raise no_such(kind, cursor, name)
            conditions.append(f"seq {sign} ?")
            values.append(rows[0]["seq"])
            order = "ASC" if sign == ">" else "DESC"
    conditions.append("json_extract(body, '$.deleted') IS NULL")
    found = desk.store.select(
        kind, " AND ".join(conditions), *values, tail=f"ORDER BY seq {order} LIMIT {limit + 1}"
    )
    data = found[:limit]
    if order == "ASC":
        data.reverse()
    return page(data, url, more=len(found) > limit)


def searched(kind: str, path: str) -> Operation:
    """Answer `GET path/search` for clauses such as `metadata['operation']:'x' AND status:'active'`."""

    def run(desk: Desk, params: Doc) -> Doc:
        conditions, values = _conditions(params.get("query") or "")
        conditions.append("json_extract(body, '$.deleted') IS NULL")
        limit = min(max(1, PAGE if params.get("limit") is None else params["limit"]), LONGEST_PAGE)
        skip = int(params.get("page") or 0)
        found = desk.store.select(
            kind, " AND ".join(conditions), *values, tail=f"ORDER BY seq DESC LIMIT {limit + 1} OFFSET {skip}"
        )
        more = len(found) > limit
        answer = page(found[:limit], f"{path}/search", more=more)
        return answer | {"object": "search_result", "next_page": str(skip + limit) if more else None}

    return Operation("GET", f"{path}/search", run, {"query": text, "limit": count, "page": _page_number})


def _conditions(query: str) -> tuple[list[str], list[object]]:
    if not query:
        raise StripeProblem("Missing required param: query.", code="parameter_missing", param="query")
    conditions: list[str] = []
    values: list[object] = []
    for clause in re.split(r"\s+(?i:AND)\s+", query.strip()):
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            raise StripeProblem("We were unable to parse your search query.", param="query")
        column = f'$.metadata."{match["key"]}"' if match["key"] else f"$.{match['field']}"
        operator = "=" if match["op"] == ":" else match["op"]
        values.append(column)
        if match["null"]:
            condition = "json_extract(body, ?) IS NULL"
        else:
            condition = f"json_extract(body, ?) {operator} ?"
            values.append(int(match["number"]) if match["number"] is not None else match["text"])
        conditions.append(f"NOT coalesce({condition}, 0)" if match[1] else condition)
    return conditions, values


def _page_number(raw: str, param: str) -> str:
    return str(count(raw, param))
