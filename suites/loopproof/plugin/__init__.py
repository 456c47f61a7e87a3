"""The pytest plugin: inert unless ``--loop`` is given, then it runs the cases against that loop."""

import pytest

from . import options

pytest.register_assert_rewrite("loopproof.cases")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite."""
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers; where a loop is given, set up the run."""
    options.add_markers(config)
    if config.option.loopproof_loop is None:
        return
    from . import fixtures, settings

    config.stash[settings.KEY] = settings.read(config)

    config.pluginmanager.register(fixtures, "loopproof-fixtures")
