"""The pages people meet."""
