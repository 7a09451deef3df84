"""Moving in: accounts that a network had before it joined, imported, rehearsed, and claimed by those whose they are.

The name an account bears there becomes its owner's alias, exactly, so that the network's software finds it again.
"""
