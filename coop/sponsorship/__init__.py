"""The solidarity pool, its queue, and gifts."""
