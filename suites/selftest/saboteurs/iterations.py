"""Loops with one bug each in what an iteration does in which order, and in when it waits."""

import asyncio
from typing import Any

from saboteurs import saboteur

Base = asyncio.SelectorEventLoop


def is_step(handle: Any) -> bool:
    """Tell whether the handle is that of a task's step."""
    name = str(getattr(handle._callback, "__qualname__", type(handle._callback).__name__))
    return "Task" in name or "TaskStep" in type(handle._callback).__name__


class _Polling(Base):
    """Gives its subclasses a say in each poll for I/O."""

    def __init__(self) -> None:
        super().__init__()
        select = self._selector.select  # type: ignore[attr-defined]
        self._selector.select = lambda timeout=None: self.poll(select, timeout)  # type: ignore[attr-defined]

    def poll(self, select: Any, timeout: float | None) -> Any:
        """Poll for I/O."""
        return select(timeout)


@saboteur("SCHED-CALL_SOON-28")
class TasksFirst(Base):
    """Keeps steps of tasks in a queue of their own that is served first."""

    def _run_once(self) -> None:
        handles = sorted(self._ready, key=is_step, reverse=True)
        self._ready.clear()
        self._ready.extend(handles)
        super()._run_once()  # type: ignore[misc]


@saboteur("SCHED-CALL_SOON-28")
class TasksLast(Base):
    """Starts tasks one iteration later than callbacks that were queued after them."""

    def create_task(self, coro: Any, **named: Any) -> Any:
        async def later() -> Any:
            await asyncio.sleep(0)
            return await coro

        return super().create_task(later(), **named)


@saboteur("SCHED-FAIRNESS-06")
class TasksTakeTwoStepsATurn(Base):
    """Puts every second step of a task before everything else that is queued."""

    steps = 0

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = super().call_soon(callback, *args, context=context)
        if is_step(handle):
            self.steps += 1
            if self.steps % 2:
                self._ready.remove(handle)
                self._ready.appendleft(handle)
        return handle


@saboteur("SCHED-CALL_SOON-07", "fail", "hang")
class StarvesEventsAndTimers(Base):
    """Does not look at descriptors and timers as long as callbacks are queued."""

    def _run_once(self) -> None:
        super()._run_once()  # type: ignore[misc]
        while self._ready and not self._stopping:
            handle = self._ready.popleft()
            if not handle._cancelled:
                handle._run()


@saboteur("SCHED-CALL_SOON-08")
class RunsCallbacksInsideOfCallbacks(Base):
    """Empties its queue when a callback submits something."""

    nested = False

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        if asyncio._get_running_loop() is self and not self.nested:
            self.nested = True
            for queued in list(self._ready):
                if not queued._cancelled:
                    queued._run()
                    queued.cancel()
            self.nested = False
        return handle


@saboteur("SCHED-CALL_SOON-12")
class EndsTheBatchAtAnError(Base):
    """Drops what is queued behind a callback that fails."""

    def call_exception_handler(self, context: Any) -> None:
        super().call_exception_handler(context)
        if "handle" in context:
            self._ready.clear()


@saboteur("SCHED-CALL_SOON-09")
class ForgetsBetweenRuns(Base):
    """Begins each run with an empty queue if it has run before."""

    ran = False

    def run_forever(self) -> None:
        if self.ran:
            for handle in [handle for handle in self._ready if getattr(handle._callback, "__name__", "") == "append"]:
                self._ready.remove(handle)
        self.ran = True
        super().run_forever()


@saboteur("SCHED-FAIRNESS-03")
class TimersBeforeEvents(Base):
    """Queues timers that are due before the descriptors that are ready."""

    def _process_events(self, event_list: Any) -> None:
        end = self.time() + self._clock_resolution  # type: ignore[attr-defined]
        for timer in sorted(timer for timer in self._scheduled if timer._when < end):
            if not timer._cancelled:
                self._scheduled.remove(timer)
                timer._scheduled = False
                self._ready.append(timer)
        self._scheduled.sort()
        super()._process_events(event_list)  # type: ignore[misc]


@saboteur("SCHED-FAIRNESS-04", "hang")
class SleepsOnItsQueue(_Polling):
    """Waits for an event also while callbacks are queued, once it has polled a hundred times."""

    polls = 0

    def poll(self, select: Any, timeout: float | None) -> Any:
        self.polls += 1
        return select(timeout if self.polls < 100 or self._stopping else None)


@saboteur("SCHED-FAIRNESS-05")
class NeverSleeps(_Polling):
    """Polls without waiting, round and round."""

    def poll(self, select: Any, timeout: float | None) -> Any:
        return select(0)


@saboteur("SCHED-FAIRNESS-05")
class DoesNotReadItsWakeUps(_Polling):
    """Leaves the bytes of wake-ups in their socket, so that it is always ready."""

    def _read_from_self(self) -> None:
        pass


@saboteur("SCHED-FAIRNESS-08")
class PollsNowAndThen(_Polling):
    """Polls in every second iteration only while callbacks are queued."""

    polls = 0

    def poll(self, select: Any, timeout: float | None) -> Any:
        self.polls += 1
        return [] if timeout == 0 and self.polls % 2 else select(timeout)


@saboteur("SCHED-CALL_SOON-23")
class RunsOutsideOfAnEnteredContext(Base):
    """Runs a callback in the current context where that of the callback is entered already."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if context is None or type(callback).__module__ == "_asyncio":
            return super().call_soon(callback, *args, context=context)

        def run() -> None:
            try:
                context.run(callback, *args)
            except RuntimeError:
                callback(*args)

        return super().call_soon(run)


@saboteur("SCHED-CALL_SOON-25")
class PrintsTheArgumentsOfAFailure(Base):
    """Puts the arguments of a callback that failed into the report."""

    def call_exception_handler(self, context: Any) -> None:
        if "handle" in context:
            context["message"] += f" with {context['handle']._args!r}"
        super().call_exception_handler(context)
