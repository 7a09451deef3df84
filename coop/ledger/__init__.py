"""Books: an append-only double-entry journal, exact to the cent."""
