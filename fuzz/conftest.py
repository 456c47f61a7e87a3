"""How long the Hypothesis tests of this folder run: --fuzz-seconds, else once, the same examples each time."""

import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --fuzz-seconds."""
    parser.addoption("--fuzz-seconds", type=float, default=0.0, help="run each test with new examples for so long")


@pytest.fixture
def repeat(request: pytest.FixtureRequest) -> Callable[[Callable[[], None]], None]:
    """Return what runs a Hypothesis test: once, or with new examples until the time is up."""
    seconds = request.config.getoption("--fuzz-seconds")

    def run(test: Callable[[], None]) -> None:
        end = time.monotonic() + seconds
        bounded = settings(
            deadline=None,
            derandomize=seconds == 0,
            database=None,
            max_examples=1000,
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        decorated = bounded(test)
        while True:
            decorated()
            if time.monotonic() >= end:
                break

    return run
