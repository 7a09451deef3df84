"""Discovery: what this provider can do, as OpenID Connect Discovery 1.0 and RFC 8414 have it said."""

from coop.authorization import claims, client_keys, clients, requests, scopes
from coop.settings import Settings


def metadata(settings: Settings) -> dict[str, object]:
    """Return the document; both specifications read the same one, and it promises nothing that is not there."""
    secret_methods = [m for m in clients.AUTH_METHODS if m != "none"]
    document: dict[str, object] = {
        "issuer": settings.issuer,
        "authorization_endpoint": settings.url(requests.PATH),
        "token_endpoint": settings.url("/oauth/token"),
        "userinfo_endpoint": settings.url("/oauth/userinfo"),
        "jwks_uri": settings.url("/oauth/jwks"),
        "introspection_endpoint": settings.url("/oauth/introspect"),
        "revocation_endpoint": settings.url("/oauth/revoke"),
        "end_session_endpoint": settings.url("/oauth/end-session"),
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "scopes_supported": list(scopes.OPEN),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(clients.GRANT_TYPES),
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": list(clients.SIGNING_ALGORITHMS),
        "userinfo_signing_alg_values_supported": list(clients.SIGNING_ALGORITHMS),
        "introspection_signing_alg_values_supported": list(clients.SIGNING_ALGORITHMS),
        "token_endpoint_auth_methods_supported": list(clients.AUTH_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(client_keys.ALGORITHMS),
        "introspection_endpoint_auth_signing_alg_values_supported": list(client_keys.ALGORITHMS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(client_keys.ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": secret_methods,
        "revocation_endpoint_auth_methods_supported": list(clients.AUTH_METHODS),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "prompt_values_supported": list(requests.PROMPTS),
        "acr_values_supported": [claims.ACR_SINGLE, claims.ACR_STRONG],
        "claim_types_supported": ["normal"],
        "claims_supported": list(claims.SUPPORTED),
        "claims_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "ui_locales_supported": ["en", "pl", "fr"],
        "service_documentation": settings.url("/docs/api"),
        "op_policy_uri": settings.url("/privacy"),
        "op_tos_uri": settings.url("/law"),
    }
    if settings.demo:
        document["registration_endpoint"] = settings.url("/oauth/register")
    return document
