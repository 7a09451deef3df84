"""People: accounts, authenticators, browser sessions, recovery."""
