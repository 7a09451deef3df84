"""The `coop` command: parses, opens a unit of work, prints."""
