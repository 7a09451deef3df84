"""Stewards: roles that expire, acts that need two people, and the log in which every act stands."""
