"""What a loop may lack by right: the names that profiles and cases use, and the methods that go with each."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Capability:
    """``text``: what a loop with it can do. ``methods``: of AbstractEventLoop, useless without it."""

    text: str
    methods: frozenset[str] = frozenset()


def _having(text: str, *methods: str) -> Capability:
    return Capability(text, frozenset(methods))


CAPABILITIES: Mapping[str, Capability] = {
    "tcp": _having("TCP connections", "create_connection"),
    "servers": _having("TCP servers", "create_server"),
    "happy_eyeballs": _having("a delay between attempts, and interleaved addresses, in create_connection()"),
    "accepted_socket": _having("transports on sockets that somebody else accepted", "connect_accepted_socket"),
    "unix": _having("UNIX stream sockets", "create_unix_server", "create_unix_connection"),
    "tls": _having("TLS on stream transports", "start_tls"),
    "udp": _having("datagram transports", "create_datagram_endpoint"),
    "pipes": _having("pipe transports", "connect_read_pipe", "connect_write_pipe"),
    "subprocess": _having("child processes", "subprocess_exec", "subprocess_shell"),
    "signals": _having("signal handlers", "add_signal_handler", "remove_signal_handler"),
    "fdwatch": _having("watched descriptors", "add_reader", "remove_reader", "add_writer", "remove_writer"),
    "sock": _having(
        "stream operations on sockets", "sock_recv", "sock_recv_into", "sock_sendall", "sock_connect", "sock_accept"
    ),
    "sock_datagram": _having("datagram operations on sockets", "sock_recvfrom", "sock_recvfrom_into", "sock_sendto"),
    "sendfile": _having("files sent over transports", "sendfile"),
    "sock_sendfile": _having("files sent over sockets", "sock_sendfile"),
    "executor": _having("functions run in threads", "run_in_executor"),
    "dns": _having("name resolution", "getaddrinfo", "getnameinfo"),
    "resolver": _having("names resolved by socket.getaddrinfo(), so that somebody else can answer"),
    "asyncgens": _having("asynchronous generators closed with the loop", "shutdown_asyncgens"),
    "debug": _having("debug mode", "set_debug"),
}
"""All capabilities by name; each has an attempt of the same name in `loopproof.plugin.probes`."""
