"""The versioned JSON API for networks, members and tools."""
