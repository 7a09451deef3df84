"""Products and prices, kept or given inline."""

from api.sandbox.desk import Desk, nothing
from api.sandbox.listing import listed, searched
from api.sandbox.operations import EXPAND, Operation, changed, retrieve
from api.sandbox.parameters import (
    Shape,
    address,
    amount,
    count,
    currency,
    flag,
    merged,
    metadata,
    need,
    one_of,
    text,
)
from api.sandbox.problems import Doc, StripeProblem, missing

RECURRING: dict[str, Shape] = {
    "interval": one_of("day", "week", "month", "year"),
    "interval_count": count,
}
_PRODUCT_PLAIN: dict[str, Shape] = {
    "name": text,
    "metadata": metadata,
    "tax_code": text,
    "unit_label": text,
}
PRODUCT_DATA: dict[str, Shape] = _PRODUCT_PLAIN | {"description": text, "images": [address]}
ITEM_DATA: dict[str, Shape] = {
    "currency": currency,
    "product": text,
    "tax_behavior": one_of("exclusive", "inclusive", "unspecified"),
    "unit_amount": amount,
}
RECURRING_DATA: dict[str, Shape] = ITEM_DATA | {"recurring": RECURRING}
PRICE_DATA: dict[str, Shape] = RECURRING_DATA | {"product_data": PRODUCT_DATA}
_CUSTOM: dict[str, Shape] = {"enabled": flag, "minimum": amount, "maximum": amount, "preset": amount}
_PRODUCT: dict[str, Shape] = (
    EXPAND | PRODUCT_DATA | {"statement_descriptor": text, "active": flag, "url": address, "shippable": flag}
)
_PRICE: dict[str, Shape] = (
    EXPAND
    | RECURRING_DATA
    | {
        "product_data": _PRODUCT_PLAIN | {"active": flag, "statement_descriptor": text},
        "recurring": RECURRING | {"usage_type": one_of("licensed")},
        "active": flag,
        "custom_unit_amount": _CUSTOM,
        "lookup_key": text,
        "metadata": metadata,
        "nickname": text,
        "billing_scheme": one_of("per_unit"),
    }
)
_LONGEST = {"day": 1095, "week": 156, "month": 36, "year": 3}


def make_product(desk: Desk, params: Doc) -> Doc:
    """Keep a product and report it."""
    need(params, "name")
    if desk.find(params.get("id")):
        raise StripeProblem("Product already exists.", code="resource_already_exists", param="id")
    fields: Doc = {
        "active": True,
        "default_price": None,
        "images": [],
        "marketing_features": [],
        "metadata": {},
        "package_dimensions": None,
        "updated": desk.now,
    } | nothing("description", "shippable", "statement_descriptor", "tax_code", "unit_label", "url")
    fields |= {
        key: value for key, value in params.items() if value is not None and key not in {"expand", "id"}
    }
    fields["metadata"] = merged({}, params.get("metadata"))
    product = desk.new("product", fields, name=params.get("id"))
    desk.emit("product.created", product)
    return product


def make_price(desk: Desk, params: Doc, where: str = "", *, active: bool = True) -> Doc:
    """Keep a price and report it; `where` is the parameter that an inline price came in."""

    def at(name: str) -> str:
        return f"{where}[{name}]" if where else name

    if params.get("currency") is None:
        raise missing(at("currency"))
    custom, recurring = params.get("custom_unit_amount"), params.get("recurring")
    if custom and not custom.get("enabled"):
        raise missing(at("custom_unit_amount[enabled]"))
    if custom and recurring:
        raise StripeProblem(
            "You cannot use `custom_unit_amount` with a recurring price.", param=at("custom_unit_amount")
        )
    if (params.get("unit_amount") is None) == (not custom):
        raise missing(at("unit_amount"))
    if params.get("product"):
        product = desk.get("product", params["product"], at("product"))
        if not product["active"]:
            raise StripeProblem(f"The product {product['id']} is not active.", param=at("product"))
    elif params.get("product_data"):
        if not params["product_data"].get("name"):
            raise missing(at("product_data[name]"))
        product = make_product(desk, params["product_data"])
    else:
        raise missing(at("product"))
    price = desk.new(
        "price",
        {
            "active": active if params.get("active") is None else params["active"],
            "billing_scheme": "per_unit",
            "currency": params["currency"],
            "custom_unit_amount": nothing("maximum", "minimum", "preset")
            | {key: value for key, value in custom.items() if key != "enabled"}
            if custom
            else None,
            "lookup_key": params.get("lookup_key"),
            "metadata": merged({}, params.get("metadata")),
            "nickname": params.get("nickname"),
            "product": product["id"],
            "recurring": _recurring(recurring, at("recurring")) if recurring else None,
            "tax_behavior": params.get("tax_behavior") or "unspecified",
            "tiers_mode": None,
            "transform_quantity": None,
            "type": "recurring" if recurring else "one_time",
            "unit_amount": params.get("unit_amount"),
            "unit_amount_decimal": None if custom else str(params["unit_amount"]),
        },
    )
    desk.emit("price.created", price)
    return price


def _recurring(given: Doc, param: str) -> Doc:
    if not given.get("interval"):
        raise missing(f"{param}[interval]")
    times = given["interval_count"] if given.get("interval_count") is not None else 1
    if not 1 <= times <= _LONGEST[given["interval"]]:
        raise StripeProblem(
            "Invalid interval_count: the interval must be at least one and at most three years.",
            param=f"{param}[interval_count]",
        )
    return {
        "interval": given["interval"],
        "interval_count": times,
        "meter": None,
        "usage_type": "licensed",
    }


def price_of(desk: Desk, item: Doc, where: str) -> Doc:
    """Return the price that an item names, or make the one it describes inline."""
    if item.get("price") and item.get("price_data"):
        raise StripeProblem("You may only specify one of these parameters: price, price_data.", param=where)
    if item.get("price_data"):
        return make_price(desk, item["price_data"], f"{where}[price_data]", active=False)
    if not item.get("price"):
        raise missing(f"{where}[price]")
    price = desk.get("price", item["price"], f"{where}[price]")
    if not price["active"]:
        raise StripeProblem(
            f"The price specified is inactive. This field only accepts active prices: {price['id']}",
            code="price_inactive",
            param=f"{where}[price]",
        )
    return price


def _create_price(desk: Desk, params: Doc) -> Doc:
    return make_price(desk, params)


def _given(params: Doc) -> Doc:
    """Return what an update changes: names and states cannot be unset."""
    return {key: value for key, value in params.items() if value is not None or key not in {"active", "name"}}


def _update_product(desk: Desk, params: Doc, name: str) -> Doc:
    product = desk.get("product", name)
    fields = _given(params) | {"updated": desk.now}
    fields["metadata"] = merged(product["metadata"], params.get("metadata"))
    if params.get("default_price"):
        desk.get("price", params["default_price"], "default_price")
    return changed(desk, product, fields, "product.updated")


def _update_price(desk: Desk, params: Doc, name: str) -> Doc:
    price = desk.get("price", name)
    fields = _given(params)
    fields["metadata"] = merged(price["metadata"], params.get("metadata"))
    return changed(desk, price, fields, "price.updated")


def _delete_product(desk: Desk, _params: Doc, name: str) -> Doc:
    product = desk.get("product", name)
    if desk.where("price", product=name):
        raise StripeProblem("This product cannot be deleted because it has one or more user-created prices.")
    desk.emit("product.deleted", product)
    return desk.save({"id": name, "object": "product", "deleted": True})


OPERATIONS = [
    Operation("POST", "/v1/products", make_product, _PRODUCT | {"id": text}),
    listed("product", "/v1/products", filters={"active": flag, "ids": [text]}, columns={"ids": "id"}),
    searched("product", "/v1/products"),
    retrieve("product", "/v1/products"),
    Operation("POST", "/v1/products/{}", _update_product, _PRODUCT | {"default_price": text}),
    Operation("DELETE", "/v1/products/{}", _delete_product),
    Operation("POST", "/v1/prices", _create_price, _PRICE),
    listed(
        "price",
        "/v1/prices",
        filters={
            "active": flag,
            "product": text,
            "currency": currency,
            "lookup_keys": [text],
            "type": one_of("one_time", "recurring"),
        },
        columns={"lookup_keys": "lookup_key"},
    ),
    searched("price", "/v1/prices"),
    retrieve("price", "/v1/prices"),
    Operation(
        "POST",
        "/v1/prices/{}",
        _update_price,
        {
            name: _PRICE[name]
            for name in ("active", "lookup_key", "metadata", "nickname", "tax_behavior", "expand")
        },
    ),
]
