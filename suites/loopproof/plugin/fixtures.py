"""The fixtures of cases, handed to pytest."""

import pytest

from ..authoring import fixtures
from ..authoring.fixtures import Factory
from .claims import Claims

new_loop = pytest.fixture(fixtures.new_loop)
loop = pytest.fixture(fixtures.loop)
reports = pytest.fixture(fixtures.reports)
logged = pytest.fixture(fixtures.logged)
connect = pytest.fixture(fixtures.connect)
serve = pytest.fixture(fixtures.serve)


class RunFixtures:
    """Plugin object with the fixtures that depend on the run: its loop and what the probe found about it."""

    def __init__(self, factory: Factory, claims: Claims) -> None:
        self._factory = factory
        self._claims = claims

    @pytest.fixture(scope="session")
    def loop_factory(self) -> Factory:
        """The callable that returns a new loop of the kind under test."""
        return self._factory

    @pytest.fixture(scope="session")
    def claims(self) -> Claims:
        """What the probe found before the first case."""
        return self._claims
