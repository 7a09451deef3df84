"""Members, their terms of a year, renewal and entitlements."""
