"""Wrong calls of methods: right arguments of each, of which one after the other is replaced by wrong values."""

import array
import asyncio
import signal
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Args = tuple[Any, ...]


class Odd:
    """An object that is nothing of what is wanted, and looks the same in all messages."""

    def __repr__(self) -> str:
        return "<odd>"


async def coroutine_function() -> None:
    """A coroutine function, where something that can be called is wanted."""


def nothing(*_: object) -> None:
    """A callback."""


VALUES: dict[str, Any] = {
    "None": None,
    "zero": 0,
    "minus": -1,
    "huge": 1 << 70,
    "float": 1.5,
    "nan": float("nan"),
    "text": "text",
    "bytes": b"bytes",
    "list": [],
    "odd": Odd(),
    "coroutine function": coroutine_function,
}

DATA: dict[str, Any] = {
    "nothing": b"",
    "bytearray": bytearray(b"ab"),
    "array": array.array("i", [1, 2]),
    "table": memoryview(b"abcdef").cast("B", (2, 3)),
    "strided": memoryview(b"abcdef")[::2],
    "several": [b"ab", bytearray(b"cd"), memoryview(b"ef")],
    "several of nothing": [b"", b""],
    "the second is none": [b"a", 5],
    "texts": ["a"],
    "nested": [[b"a"]],
}
"""More values for what is written: not all of them are wrong."""


class Outcome(NamedTuple):
    """What came of a call: the type and message of what was raised, None and nothing if it returned; and what else."""

    raised: str | None
    message: str = ""
    rest: tuple[Any, ...] = ()


def outcome(call: Callable[[], object]) -> Outcome:
    """What comes of a call."""
    try:
        call()
    except Exception as error:
        return Outcome(type(error).__name__, str(error))
    return Outcome(None)


def wrong_calls(args: Args, values: dict[str, Any]) -> Iterator[tuple[str, Args]]:
    """The right call, wrong ones, and one with more arguments than there are."""
    yield "right", args
    for place in range(len(args)):
        for name, value in values.items():
            yield f"{place}: {name}", (*args[:place], value, *args[place + 1 :])
    yield "more", (*args, Odd(), Odd(), Odd())


Calls = dict[str, tuple[Args, dict[str, Any]]]
"""The right arguments of each method, and what each of them is replaced by."""

SOCKET, DESCRIPTOR = "the socket", "its descriptor"
"""Stand for a new socket that is connected, in the arguments of calls."""

_OF_LOOPS: dict[str, Args] = {
    "call_soon": (nothing,),
    "call_soon_threadsafe": (nothing,),
    "call_later": (3600.0, nothing),
    "call_at": (1e12, nothing),
    "set_task_factory": (None,),
    "set_exception_handler": (None,),
    "set_debug": (False,),
    "call_exception_handler": ({"message": "m"},),
    "default_exception_handler": ({"message": "m"},),
    "run_in_executor": (None, nothing),
    "set_default_executor": (None,),
    "add_reader": (DESCRIPTOR, nothing),
    "add_writer": (DESCRIPTOR, nothing),
    "remove_reader": (DESCRIPTOR,),
    "remove_writer": (DESCRIPTOR,),
    "add_signal_handler": (signal.SIGUSR1, nothing),
    "remove_signal_handler": (signal.SIGUSR1,),
    "create_task": (None,),
    "run_until_complete": (None,),
    "sock_accept": (SOCKET,),
    "sock_recv": (SOCKET, 10),
    "sock_recv_into": (SOCKET, bytearray(10)),
    "sock_recvfrom": (SOCKET, 10),
    "sock_recvfrom_into": (SOCKET, bytearray(10), 5),
    "sock_sendall": (SOCKET, b"x"),
    "sock_sendto": (SOCKET, b"x", None),
    "sock_connect": (SOCKET, ("127.0.0.1", 1)),
    "create_unix_connection": (asyncio.Protocol, "/nowhere"),
    "create_unix_server": (asyncio.Protocol, "/no/where"),
    "connect_accepted_socket": (asyncio.Protocol, SOCKET),
    "connect_read_pipe": (asyncio.Protocol, SOCKET),
    "connect_write_pipe": (asyncio.Protocol, SOCKET),
    "shutdown_default_executor": (),
    "shutdown_asyncgens": (),
    **dict.fromkeys(("time", "is_running", "is_closed", "get_debug", "get_task_factory", "stop", "close"), ()),
    **dict.fromkeys(("get_exception_handler", "create_future"), ()),
}

LOOP_CALLS: Calls = {method: (args, VALUES) for method, args in _OF_LOOPS.items()}
"""Of a loop that does not run; what looks names up is tested elsewhere."""


_NO_ARGUMENTS = (
    *("pause_reading", "resume_reading", "is_reading", "get_protocol", "get_write_buffer_size", "is_closing"),
    *("get_write_buffer_limits", "can_write_eof", "write_eof", "close", "abort"),
)

TRANSPORT_CALLS: Calls = {
    "write": ((b"x",), VALUES | DATA),
    "writelines": (([b"x"],), VALUES | DATA),
    "set_write_buffer_limits": ((10, 5), VALUES),
    "get_extra_info": (("sockname", None), VALUES),
    **{name: ((), {}) for name in _NO_ARGUMENTS},
}

SERVER_CALLS: Calls = dict.fromkeys(
    ("close", "get_loop", "is_serving", "start_serving", "serve_forever", "wait_closed"), ((), {})
)

HANDLE_CALLS: Calls = dict.fromkeys(("cancel", "cancelled"), ((), {}))
