"""Expected exceptions and warnings, without pytest, so that a reproducer needs the standard library alone."""

import contextlib
import gc
import warnings
from collections.abc import Iterator
from types import TracebackType


class raises:
    """Context manager: the block must raise one of ``kinds`` (or a subclass); the exception is kept in ``value``.

    Raises AssertionError if the block raises nothing; an exception of another type passes through unchanged.
    """

    value: BaseException

    def __init__(self, *kinds: type[BaseException]) -> None:
        self.kinds = kinds

    def __enter__(self) -> "raises":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if value is None:
            names = " or ".join(kind.__name__ for kind in self.kinds)
            raise AssertionError(f"expected {names}, nothing was raised")
        self.value = value
        return isinstance(value, self.kinds)


@contextlib.contextmanager
def left_to_the_collector() -> Iterator[None]:
    """Let the loop leave sockets to the garbage collector in the block: that it may not is another case."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()
