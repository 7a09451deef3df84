"""The refusals that operations of the API declare, as the OpenAPI document shows them."""

from http import HTTPStatus

from litestar.openapi.datastructures import ResponseSpec

from api.errors import Problem

MEDIA_TYPE = "application/problem+json"
_WHY = {
    HTTPStatus.BAD_REQUEST: "The request could not be understood.",
    HTTPStatus.UNAUTHORIZED: "No access token, or one that is unknown, expired or revoked.",
    HTTPStatus.FORBIDDEN: "The token is not of a client that acts in its own name with the scope that this asks for.",
    HTTPStatus.NOT_FOUND: "There is nothing at this address.",
    HTTPStatus.CONFLICT: "What was asked for exists already.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than any honest request.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is something else than JSON.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The service cannot answer right now; see Retry-After.",
}


def problems(*statuses: HTTPStatus) -> dict[int, ResponseSpec]:
    """Return the declaration of refusals with these statuses, and of the one that any operation may give."""
    return {
        int(status): ResponseSpec(
            data_container=Problem,
            generate_examples=False,
            description=_WHY[status],
            media_type=MEDIA_TYPE,
        )
        for status in (*statuses, HTTPStatus.SERVICE_UNAVAILABLE)
    }
