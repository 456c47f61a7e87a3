"""A fixed sample of what `fuzz/guarded_buffer.py` tries for longer, the same in every run."""

from collections.abc import Callable
from typing import Any

import pytest
from buffer_properties import CHECKS, Life
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import run_state_machine_as_test

SAMPLE = settings(
    max_examples=150, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_sample_of_arguments(check: Callable[[dict[str, Any]], None]) -> None:
    SAMPLE(given(CHECKS[check])(check))()


def test_a_sample_of_lives() -> None:
    run_state_machine_as_test(Life, settings=settings(SAMPLE, max_examples=60, stateful_step_count=30))
