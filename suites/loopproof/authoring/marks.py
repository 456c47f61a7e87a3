"""The marks of a case: which requirements it proves, and which capabilities of a loop it needs to do so."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from .datagrams import KINDS as DATAGRAMS
from .execution import run_to_completion

Case = TypeVar("Case", bound=Callable[..., Any])


def requires(*requirements: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a case with the ids of the requirements that it proves.

    A coroutine function becomes a plain function that runs it on the loop under test (fixture ``loop``), so no
    other plugin for asynchronous tests ever sees a coroutine function and none can claim the case.
    """

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        case = _on_loop(function) if inspect.iscoroutinefunction(function) else function
        marked: Callable[..., Any] = pytest.mark.requires(*requirements)(case)
        return marked

    return mark


def needs(*capabilities: str) -> Callable[[Case], Case]:
    """Mark a case with what it uses beyond the API its requirement names.

    Capabilities of the loop (`loopproof.capabilities`) and features of the machine (`loopproof.machine`).
    """

    def mark(function: Case) -> Case:
        marked: Case = pytest.mark.needs(*capabilities)(function)
        return marked

    return mark


_STREAMS = {
    "tcp-client": "tcp",
    "tcp-server": "servers",
    "unix-client": "unix",
    "unix-server": "unix",
    "accepted": "accepted_socket",
    "connected": "tcp",
}


def on_streams(*kinds: str) -> Callable[[Case], Case]:
    """Run a case on each kind of stream transport, or on the named ones; its fixture ``connect`` makes such links."""

    def mark(function: Case) -> Case:
        chosen = [pytest.param(kind, marks=pytest.mark.needs(_STREAMS[kind])) for kind in kinds or _STREAMS]
        marked: Case = pytest.mark.parametrize("stream", chosen)(function)
        return marked

    return mark


_SERVERS = {"tcp": "servers", "unix": "unix"}


def on_servers(*kinds: str) -> Callable[[Case], Case]:
    """Run a case on each kind of server, or on the named ones; its fixture ``serve`` makes such servers."""

    def mark(function: Case) -> Case:
        chosen = [pytest.param(kind, marks=pytest.mark.needs(_SERVERS[kind])) for kind in kinds or _SERVERS]
        marked: Case = pytest.mark.parametrize("server", chosen)(function)
        return marked

    return mark


def on_datagrams(*kinds: str) -> Callable[[Case], Case]:
    """Run a case on each kind of datagram endpoint, or on the named ones; its parameter is ``kind``."""

    def mark(function: Case) -> Case:
        chosen = [
            pytest.param(kind, marks=pytest.mark.needs("udp", *DATAGRAMS[kind].needs)) for kind in kinds or DATAGRAMS
        ]
        marked: Case = pytest.mark.parametrize("kind", chosen)(function)
        return marked

    return mark


def _on_loop(function: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(function)
    takes_loop = "loop" in signature.parameters
    parameters = list(signature.parameters.values())
    if not takes_loop:
        parameters.append(inspect.Parameter("loop", inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(function)
    def case(**arguments: Any) -> None:
        loop = arguments["loop"] if takes_loop else arguments.pop("loop")
        run_to_completion(loop, function, arguments)

    case.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return case
