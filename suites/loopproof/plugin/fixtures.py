"""The fixtures of cases, handed to pytest."""

import pytest

from ..authoring import fixtures
from ..authoring.fixtures import Factory
from .settings import settings_of


@pytest.fixture(scope="session")
def loop_factory(request: pytest.FixtureRequest) -> Factory:
    """The callable that returns a new loop of the kind under test."""
    return settings_of(request.config).factory


new_loop = pytest.fixture(fixtures.new_loop)
loop = pytest.fixture(fixtures.loop)
reports = pytest.fixture(fixtures.reports)
logged = pytest.fixture(fixtures.logged)
