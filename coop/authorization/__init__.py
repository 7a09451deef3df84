"""The OAuth 2 and OpenID Connect provider: clients, grants, tokens, keys, claims."""
