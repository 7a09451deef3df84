from tests.protocol.conftest import ada, law, other, party, phone, wire

__all__ = ["ada", "law", "other", "party", "phone", "wire"]
