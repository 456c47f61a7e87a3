"""Runs each case in the process at hand: deadline, black box, search for leftovers, and a verdict on each phase."""

import contextlib
import gc
import inspect
import os
from collections.abc import Generator, Iterator

import pytest
from _pytest.runner import runtestprotocol

from ..authoring import links
from ..authoring.fixtures import Report
from ..cases import case_id
from . import blackbox
from .blackbox import BlackBox
from .claims import Claims
from .hygiene import GRACE, Leftovers, Watch, kind_of
from .options import DEADLINE
from .settings import Settings
from .verdicts import LEAK, Judge, note_of, requirements_of

_WAITS = 20
"""After so many cases that failed since they waited in vain, the next ones wait a fifth: this loop has its findings."""

_WATCH = pytest.StashKey[Watch]()
_LASTING = pytest.StashKey[bool]()


class Execution:
    """Plugin object of a process that runs cases: a worker with its black box, or pytest itself with ``-n0``."""

    def __init__(self, settings: Settings, claims: Claims, box: BlackBox | None) -> None:
        self._settings = settings
        self._leaves = claims.leaves
        self._box = box
        self._judge = Judge(settings.profile, box)
        for name in ("CI", "BUILD_NUMBER"):  # pytest would compare long lists in full, which can outlast the deadline
            os.environ.pop(name, None)
        self._patience = round(links.PATIENCE * settings.deadline / DEADLINE)
        self._waits = 0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        """Take what the interpreter holds by now out of every later garbage collection."""
        gc.collect()
        gc.freeze()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Give back to the collector what was taken out: plugins that end after the run may ask it for referrers."""
        gc.unfreeze()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a case; once more if all that is wrong is a resource of the process that it left behind.

        What a loop makes once for the process and keeps (a resolver's threads, say) is no leak. A leak happens again.
        """
        case = case_id(item.nodeid)
        if case is None:
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports = self._attempt(item, case, nextitem)
        if item.stash.get(_LASTING, False) and not any(r.failed for r in reports if r.when != "teardown"):
            reports = self._attempt(item, case, nextitem)
        for report in reports:
            self._waits += report.failed and report.duration >= 0.0008 * self._patience  # a turn is a millisecond
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _attempt(self, item: pytest.Item, case: str, nextitem: pytest.Item | None) -> list[pytest.TestReport]:
        item.stash[_LASTING] = item.stash[LEAK] = False
        links.PATIENCE = self._patience // (10 if self._is_known(item) else 5 if self._waits >= _WAITS else 1)
        if self._box is not None:
            self._box.begin(note_of(item, case))
        self._arm(item)
        try:
            with Watch() as watch:
                item.stash[_WATCH] = watch
                return runtestprotocol(item, log=False, nextitem=nextitem)
        finally:
            blackbox.disarm()
            gc.freeze()  # what is left, reports mostly, would make each later collection slower than the last

    @pytest.hookimpl(trylast=True)
    def pytest_exception_interact(self, node: pytest.Item | pytest.Collector) -> None:
        """Watch on after a failure: pytest's plugin for faulthandler has just cancelled it, and teardown is to come."""
        if isinstance(node, pytest.Item) and _WATCH in node.stash:
            with node.stash[_WATCH].excepting_threads():
                self._arm(node)

    def _arm(self, item: pytest.Item) -> None:
        blackbox.arm(self._box, self._deadline_of(item) + GRACE)

    def _deadline_of(self, item: pytest.Item) -> float:
        marker = item.get_closest_marker("deadline")
        factor = marker.args[0] / DEADLINE if marker else 1
        return self._settings.deadline * factor / (5 if self._is_known(item, "hang") else 1)

    def _is_known(self, item: pytest.Item, verdict: str | None = None) -> bool:
        """Tell whether the loop is known to deviate: what will not come is not waited for as long, then."""
        case = case_id(item.nodeid) or item.nodeid
        return self._settings.profile.deviation_for(case, requirements_of(item), verdict) is not None

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self) -> Generator[None, None, None]:
        """A loop that raises KeyboardInterrupt fails its case and does not end the run."""
        with self._contained():
            yield

    pytest_runtest_call = pytest_runtest_setup

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        """After the fixtures are gone, fail where the case left something behind."""
        with self._contained():
            yield
            if _WATCH in item.stash:
                self._refuse(item, item.stash[_WATCH].inspect())

    @contextlib.contextmanager
    def _contained(self) -> Iterator[None]:
        if self._box is not None:  # pytest's own capture, set up anew for each phase, dies with the process
            self._box.take_over_output()
        try:
            yield
        except KeyboardInterrupt as error:
            if self._box is None:  # may be the user's own
                raise
            raise AssertionError("KeyboardInterrupt came out of the case") from error

    def _refuse(self, item: pytest.Item, left: Leftovers) -> None:
        taken = inspect.signature(item.obj).parameters if isinstance(item, pytest.Function) else {}
        lasting = [text for text in left.lasting if kind_of(text) not in self._leaves]
        warned = [text for text in left.warned if kind_of(text) not in self._leaves]
        item.stash[_LASTING] = bool(lasting)
        item.stash[LEAK] = bool(lasting or warned)
        lines = lasting + warned + left.lost
        if "logged" not in taken:
            lines += [f"unexpected error logged by asyncio: {text}" for text in left.logged]
        if "reports" not in taken and isinstance(item, pytest.Function):
            reports: list[Report] = item.funcargs.get("reports", [])  # type: ignore[assignment]
            lines += [f"unexpected call of the exception handler: {report!r}" for report in reports]
        if lines:
            pytest.fail("left behind by the case:\n" + "\n".join(f"  {line}" for line in lines), pytrace=False)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach the verdict on the phase, with message and evidence, to pytest's report of it."""
        report = yield
        if case_id(item.nodeid) is not None:
            self._judge.judge(item, call, report)
        return report
