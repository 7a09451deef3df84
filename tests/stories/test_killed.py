"""The demo stopped, and the demo killed in the middle of a burst of payments."""

import resource
import signal

import pytest

from tests.demo import Demo


def spent() -> float:
    """Return the seconds that processes which have ended have worked for us."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_a_warm_start_is_quick(own_demo: Demo) -> None:
    own_demo.end()
    before = spent()

    waited = own_demo.start()

    own_demo.end()
    worked = spent() - before
    print(f"a warm start took {waited:.1f} s, {worked:.1f} s of work")  # noqa: T201 - good figures are of interest, too
    # It takes 5 s on two cores; how long it takes while other tests run says little.
    assert waited < 15 or worked < 12


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_and_all_that_it_started(own_demo: Demo, number: signal.Signals) -> None:
    assert own_demo.signal(number) == 0
    assert not own_demo.alive()
