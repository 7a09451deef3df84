"""How members decide: motions, the roll, secret ballots, the count, and law that changes by it."""
