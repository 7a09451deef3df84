"""HTTP: the OAuth endpoints, the API, the pages people meet, Stripe's hooks and the sandbox."""
