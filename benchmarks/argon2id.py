"""How many argon2id digests this machine makes in a second, with the parameters and in as many threads as the service."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from coop.identity.passwords import _argon2


def _digest(deadline: float) -> list[float]:
    took = []
    while time.perf_counter() < deadline:
        began = time.perf_counter()
        _argon2.hash("violet tram under seven bridges")
        took.append((time.perf_counter() - began) * 1e6)
    return took


def main(threads: int, seconds: float) -> None:
    """Hash in `threads` for `seconds`, and say how it went as a generator does."""
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        seen = sorted(t for each in pool.map(_digest, [began + seconds] * threads) for t in each)
    told = {
        "requests": len(seen),
        "microseconds": (time.perf_counter() - began) * 1e6,
        "p50": seen[len(seen) // 2],
        "p99": seen[len(seen) * 99 // 100],
        "failed": 0,
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
