"""The pytest plugin: inert unless ``--loop`` is given, then it runs the cases against that loop."""

from typing import Any

import pytest

from . import options

pytest.register_assert_rewrite("loopproof.cases")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite."""
    options.add_options(parser)


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Any:
    """Run in worker processes unless told otherwise, and let a dead worker be replaced as often as need be."""
    if config.option.loopproof_loop is not None and not hasattr(config, "workerinput"):
        options.default_to_workers(config)
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers; where a loop is given, set up the run."""
    options.add_markers(config)
    if config.option.loopproof_loop is not None:
        from .assembly import assemble

        assemble(config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse to run cases without a loop."""
    from ..cases import case_id

    if config.option.loopproof_loop is None:
        cases = [case_id(item.nodeid) for item in items if item.get_closest_marker("requires")]
        if any(cases):
            raise pytest.UsageError("which loop is under test? Give --loop MODULE:FACTORY, or --loop asyncio")
