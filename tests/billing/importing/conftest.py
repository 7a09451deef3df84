from tests.till import sandbox, till

__all__ = ["sandbox", "till"]
