"""call_soon: what is passed to the callback, what can be a callback, and what is refused."""

import asyncio
import functools
import operator
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from loopproof.authoring import raises, requires

Factory = Callable[[], asyncio.AbstractEventLoop]
Report = dict[str, Any]


def run_once(loop: asyncio.AbstractEventLoop) -> None:
    """Run what is queued on the loop."""
    loop.call_soon(loop.stop)
    loop.run_forever()


class Odd:
    """An object whose every comparison, truth value and attribute look-up fails."""

    def __bool__(self) -> bool:
        raise RuntimeError("the loop asked for the truth value of an argument")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("the loop compared an argument")

    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"the loop looked up {name} of an argument")


class Falsy:
    """A callable that is false."""

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    def __len__(self) -> int:
        return 0

    def __call__(self, *arguments: object) -> None:
        self.calls.append("called")


class Awkward(Falsy):
    """A callable without hash, equality, representation or attributes beyond the special ones."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("the loop compared a callback")

    def __repr__(self) -> str:
        raise RuntimeError("the loop asked for the repr of a callback that did not fail")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"the loop looked up {name} of a callback")


@requires("SCHED-CALL_SOON-04")
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 50, 1000])
def test_arguments_arrive_unchanged_and_in_order(new_loop: Factory, count: int) -> None:
    """The callback gets the very objects that were passed, all of them, in order."""
    loop = new_loop()
    given = [object() for _ in range(count)]
    got: list[tuple[object, ...]] = []

    def callback(*arguments: object) -> None:
        got.append(arguments)

    loop.call_soon(callback, *given)
    run_once(loop)
    assert len(got) == 1
    assert len(got[0]) == count, f"{count} arguments were given, {len(got[0])} arrived"
    assert all(map(operator.is_, got[0], given)), "an argument is another object than was given"


@requires("SCHED-CALL_SOON-04")
def test_a_single_tuple_or_none_is_one_argument(new_loop: Factory) -> None:
    """A lone argument that is a tuple, a list or None is passed as it is and not taken apart or dropped."""
    loop = new_loop()
    got: list[tuple[object, ...]] = []

    def callback(*arguments: object) -> None:
        got.append(arguments)

    given: list[object] = [(), (1, 2), None, [3], {}]
    for argument in given:
        loop.call_soon(callback, argument)
    run_once(loop)
    assert got == [((),), ((1, 2),), (None,), ([3],), ({},)]


@requires("SCHED-CALL_SOON-04")
def test_arguments_are_not_looked_at(loop: asyncio.AbstractEventLoop) -> None:
    """The loop neither compares nor tests nor hashes nor inspects what it passes on."""
    got: list[object] = []
    odd = Odd()
    loop.call_soon(got.append, odd)
    handle = loop.call_soon(got.append, odd)
    handle.cancel()
    run_once(loop)
    assert got
    assert all(argument is odd for argument in got)


@requires("SCHED-CALL_SOON-04")
def test_a_changed_mutable_argument_is_seen_changed(new_loop: Factory) -> None:
    """Arguments are passed by reference: a list that grows before the callback runs arrives grown."""
    loop = new_loop()
    got: list[list[int]] = []
    argument = [1]
    loop.call_soon(got.append, argument)
    argument.append(2)
    run_once(loop)
    assert got == [[1, 2]]


@requires("SCHED-CALL_SOON-04")
def test_arguments_live_as_long_as_they_are_queued(new_loop: Factory) -> None:
    """The loop keeps the only references to a queued callback and its arguments."""
    loop = new_loop()
    got: list[str] = []

    class Worker:
        def work(self, text: str) -> None:
            got.append(text)

    for number in range(50):
        loop.call_soon(Worker().work, "-".join(["text", str(number)]))
    run_once(loop)
    assert got == [f"text-{number}" for number in range(50)]


def plain(calls: list[str]) -> Callable[..., object]:
    """Return a closure."""
    return lambda *_: calls.append("called")


class Namespace:
    """Holds a class method and a static method as callbacks."""

    @classmethod
    def of_class(cls, calls: list[str]) -> None:
        """Note the call."""
        calls.append("called")

    @staticmethod
    def static(calls: list[str]) -> None:
        """Note the call."""
        calls.append("called")

    def __init__(self, calls: list[str]) -> None:
        calls.append("called")


CALLABLES: dict[str, Callable[[list[str]], Callable[..., object]]] = {
    "closure": plain,
    "builtin method": lambda calls: functools.partial(calls.append, "called"),
    "builtin function": lambda calls: functools.partial(operator.iadd, calls, ["called"]),
    "methodcaller": lambda calls: functools.partial(operator.methodcaller("append", "called"), calls),
    "method wrapper": lambda calls: functools.partial(calls.__iadd__, ["called"]),
    "slot descriptor": lambda calls: functools.partial(list.__iadd__, calls, ["called"]),
    "method descriptor": lambda calls: functools.partial(list.append, calls, "called"),
    "class": lambda calls: functools.partial(Namespace, calls),
    "class method": lambda calls: functools.partial(Namespace.of_class, calls),
    "static method": lambda calls: functools.partial(Namespace.static, calls),
    "nested partial": lambda calls: functools.partial(functools.partial(plain(calls), 1), 2, 3),
    "partial with keywords": lambda calls: functools.partial(lambda *, word: calls.append(word), word="called"),
    "cached function": lambda calls: functools.lru_cache(plain(calls)),
    "single dispatch": lambda calls: functools.partial(functools.singledispatch(plain(calls)), 1),
    "falsy object": Falsy,
    "awkward object": Awkward,
}


@requires("SCHED-CALL_SOON-03")
@pytest.mark.parametrize("kind", list(CALLABLES))
def test_any_callable_can_be_a_callback(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    """Functions, methods, builtins, partials, classes and objects with __call__, also odd ones, are all called."""
    calls: list[str] = []
    loop.call_soon(CALLABLES[kind](calls))
    run_once(loop)
    assert calls == ["called"]


@requires("SCHED-CALL_SOON-04")
def test_builtins_are_called_directly_with_their_arguments(new_loop: Factory) -> None:
    """C functions of each calling convention get their arguments right."""
    loop = new_loop()
    numbers: list[Any] = []
    seen: dict[str, int] = {}
    loop.call_soon(numbers.append, 1)
    loop.call_soon(numbers.extend, (2, 3))
    loop.call_soon(numbers.insert, 0, 0)
    loop.call_soon(list.append, numbers, 4)
    loop.call_soon(operator.setitem, seen, "key", 5)
    loop.call_soon(numbers.pop)
    loop.call_soon(numbers.reverse)
    loop.call_soon(setattr, loop_holder := Falsy([]), "mark", 6)
    run_once(loop)
    assert numbers == [3, 2, 1, 0]
    assert seen == {"key": 5}
    assert loop_holder.mark == 6  # type: ignore[attr-defined]


@requires("SCHED-CALL_SOON-04")
def test_the_loops_own_methods_can_be_callbacks(new_loop: Factory) -> None:
    """call_soon() can queue call_soon() itself."""
    loop = new_loop()
    ran: list[str] = []
    loop.call_soon(loop.call_soon, loop.call_soon, ran.append, "third turn")
    for _ in range(3):
        run_once(loop)
    assert ran == ["third turn"]


@requires("SCHED-CALL_SOON-11")
@pytest.mark.parametrize("name", ["key", "args", "kwargs", "loop", "delay", "name", "self"])
def test_unknown_keywords_are_refused_and_nothing_is_queued(new_loop: Factory, name: str) -> None:
    """A keyword other than context raises TypeError at the call, and the callback never runs."""
    loop = new_loop()
    ran: list[object] = []
    with raises(TypeError):
        loop.call_soon(lambda **named: ran.append(named), **{name: 1})  # type: ignore[arg-type]
    run_once(loop)
    assert ran == [], "the callback of a refused call_soon() ran"


@requires("SCHED-CALL_SOON-11")
def test_call_soon_without_a_callback_is_refused(new_loop: Factory) -> None:
    """call_soon() without arguments raises TypeError."""
    loop = new_loop()
    with raises(TypeError):
        loop.call_soon()  # type: ignore[call-arg]
    run_once(loop)


@requires("SCHED-CALL_SOON-21")
@pytest.mark.parametrize("kind", ["None", "int", "str", "list"])
def test_what_cannot_be_called_is_refused_or_reported(
    loop: asyncio.AbstractEventLoop, reports: list[Report], kind: str
) -> None:
    """A callback that is not callable leads to TypeError at the call or to a report, and the loop goes on."""
    callback: Any = {"None": None, "int": 7, "str": "text", "list": []}[kind]
    ran: list[str] = []
    refused = False
    try:
        loop.call_soon(callback)
    except TypeError:
        refused = True
    loop.call_soon(ran.append, "next")
    run_once(loop)
    assert refused or len(reports) == 1, f"neither refused nor reported once; reports: {reports}"
    assert ran == ["next"]


@requires("SCHED-CALL_SOON-21")
def test_a_wrong_number_of_arguments_is_reported_when_the_callback_is_due(
    loop: asyncio.AbstractEventLoop, reports: list[Report]
) -> None:
    """Arguments that do not fit the callback are not checked by call_soon(); the TypeError of the call is reported."""
    ran: list[str] = []

    takes_one: Callable[..., None] = lambda one: ran.append("called")  # noqa: E731
    loop.call_soon(takes_one)
    loop.call_soon(takes_one, 1, 2)
    loop.call_soon(ran.append, "next")
    run_once(loop)
    assert ran == ["next"]
    assert [type(report["exception"]) for report in reports] == [TypeError, TypeError]


@requires("SCHED-CALL_SOON-22")
def test_a_coroutine_function_is_not_driven(loop: asyncio.AbstractEventLoop, reports: list[Report]) -> None:
    """A coroutine function as callback is refused with TypeError, or called without running its body."""
    ran: list[str] = []

    async def coroutine() -> None:
        ran.append("body")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the coroutine that was never awaited
        try:
            loop.call_soon(coroutine)
        except TypeError:
            ran.append("refused")
        loop.call_soon(ran.append, "next")
        for _ in range(5):
            run_once(loop)
    assert ran in (["next"], ["refused", "next"])
    assert [type(report["exception"]) for report in reports] in ([], [TypeError])
