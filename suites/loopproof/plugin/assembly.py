"""Puts a run together: probes the loop and registers the plugin objects that this process needs."""

import resource
import tempfile
from pathlib import Path
from typing import Any

import pytest

from .. import spec
from ..loops import LoopError
from ..profiles import ProfileError
from ..results import LoopInfo, ResultError, ResultWriter
from . import fixtures, settings
from .blackbox import BlackBox
from .claims import Claims
from .execution import Execution
from .probe import probe
from .recording import Recording
from .selection import Selection
from .supervision import WORKER_INPUT, Supervision


def assemble(config: pytest.Config) -> None:
    """Set up a controller, a worker, or (``-n0``) both in one.

    Raises pytest.UsageError with one line for whatever is wrong with the options, the profile or the loop.
    """
    told = getattr(config, "workerinput", {}).get(WORKER_INPUT)
    try:
        if told is not None:
            _set_up_worker(config, told)
        else:
            _set_up_main(config)
    except (LoopError, ProfileError, ResultError, spec.SpecError) as error:
        raise pytest.UsageError(str(error)) from None


def _set_up_main(config: pytest.Config) -> None:
    run = settings.read(config)
    folder = tempfile.TemporaryDirectory(prefix="loopproof-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    profile = run.profile
    info = LoopInfo(profile.name, profile.factory, *run.loop.distribution(profile))
    writer = ResultWriter(config.option.loopproof_result or Path(folder.name, "result.json"), info)
    try:
        trusting = config.option.loopproof_trust_profile
        claims = Claims.trusting(profile.lacks) if trusting else probe(run.loop, profile.lacks, run.deadline)
    except LoopError as error:
        writer.finish(error=str(error))
        raise
    config.pluginmanager.register(Recording(profile, writer), "loopproof-recording")
    if config.option.dist == "no":
        _register_runner(config, run, claims, None)
    else:
        supervision = Supervision(profile, claims, Path(folder.name))
        config.pluginmanager.register(supervision, "loopproof-supervision")


def _set_up_worker(config: pytest.Config, told: dict[str, Any]) -> None:
    run = settings.read(config)
    box = BlackBox(Path(told["box"]))
    if run.memory:
        limit = run.memory * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
    _register_runner(config, run, Claims.from_json(told["claims"]), box)


def _register_runner(config: pytest.Config, run: settings.Settings, claims: Claims, box: BlackBox | None) -> None:
    register = config.pluginmanager.register
    register(fixtures, "loopproof-fixtures")
    register(fixtures.RunFixtures(run.loop.resolve(), claims), "loopproof-run-fixtures")
    register(Selection(run, claims), "loopproof-selection")
    register(Execution(run, claims, box), "loopproof-execution")
