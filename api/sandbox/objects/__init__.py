"""Stripe's objects: what each is made of, and what each operation does to it."""
