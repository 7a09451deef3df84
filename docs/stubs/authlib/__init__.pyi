# What coop.authorization uses of Authlib, which ships no types.
