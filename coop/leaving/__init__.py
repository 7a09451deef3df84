"""Leaving, or only taking: a person's export, and the erasure of their account."""
