"""Loops with a bug that cases find at once."""

import asyncio


class LastInFirstOut(asyncio.SelectorEventLoop):
    """Runs the callbacks of one batch in reverse order."""

    def _run_once(self) -> None:
        self._ready.reverse()
        super()._run_once()  # type: ignore[misc]
