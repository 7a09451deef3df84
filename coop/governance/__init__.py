"""Motions, the roll, ballots, tallies and outcomes that execute."""
