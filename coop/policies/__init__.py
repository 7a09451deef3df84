"""Law: typed, versioned documents, each in force from a date by an act of the members."""
