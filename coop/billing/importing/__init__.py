"""Imports: memberships that another tool kept, each paid for until a day, taken over without charging anybody twice."""
