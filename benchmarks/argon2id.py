"""How many argon2id digests this machine makes in a second, with the parameters and in as many threads as the service."""

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher, extract_parameters

from coop.identity.passwords import Hasher

PASSWORD = "violet tram under seven bridges"  # noqa: S105 - of nobody


def main(threads: int, seconds: float) -> None:
    """Hash in `threads` for `seconds`, and say how it went as a generator does."""
    alone = PasswordHasher.from_parameters(extract_parameters(asyncio.run(Hasher(1).digest(PASSWORD))))
    began, spent = time.perf_counter(), time.process_time()

    def hash_on(_thread: int) -> list[float]:
        took = []
        while (start := time.perf_counter()) < began + seconds:
            alone.hash(PASSWORD)
            took.append((time.perf_counter() - start) * 1e6)
        return took

    with ThreadPoolExecutor(threads) as pool:
        seen = sorted(each for thread in pool.map(hash_on, range(threads)) for each in thread)
    told = {
        "requests": len(seen),
        "microseconds": (time.perf_counter() - began) * 1e6,
        "p50": seen[len(seen) // 2],
        "p99": seen[len(seen) * 99 // 100],
        "failed": 0,
        "cpu": time.process_time() - spent,
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
