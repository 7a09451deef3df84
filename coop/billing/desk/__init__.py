"""The steward's desk: what waits for a treasurer, and what a treasurer may decide, alone or with a second one."""
