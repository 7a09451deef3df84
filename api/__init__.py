"""HTTP: the OAuth endpoints, the API, the pages people meet, Stripe's hooks and the sandbox."""

from coop.imports import absent

# What it would find is for tracebacks in colour; ours name places only (coop.logs).
with absent("rich"):
    import structlog as structlog
