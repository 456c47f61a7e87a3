"""What of the standard library's loop the suite is measured by: files, and which functions are other areas'."""

import asyncio
import re
from pathlib import Path

FOLDER = Path(asyncio.__file__).parent
FILES = ("base_events", "selector_events", "unix_events", "events", "transports")

OUTSIDE = {
    "abc": r"^Abstract(?!Server.__a)|^(Read|Write|Datagram|Subprocess)?Transport\.",
    "childwatch": r"ChildWatcher|child_watcher|_init_watcher|can_use_pidfd|waitstatus",
    "debug": r"(get|set)_debug|_set_coroutine_origin_tracking",
    "other platforms": r"_write_send$",  # where there is no sendmsg()
    "dns": r"^BaseEventLoop\._?get(addr|name)info",
    "fork": r"^on_fork$",
    "executor": r"run_in_executor|set_default_executor",
    "policy": r"Policy|event_loop_policy|^((get|set|new)_event_loop)$",
    "signals": r"signal|sighandler",
    "subprocess": r"subprocess|Subprocess|_format_pipe",
    "written in C": r"^_?[gs]et_running_loop$",
    "tasks": r"create_task|task_factory",
    "tls": r"ssl_transport|start_tls",
}
"""Areas that this measurement leaves out: a pattern of the qualified names of their functions."""


ELSEWHERE = r"NotImplementedError|logger\.|__repr__|_repr_info|_format_|_test_selector_event"
"""Statements of other functions that belong to those areas, or whose effect is a text that nothing prescribes."""


def area_outside(function: str) -> str | None:
    """Return the area left out that owns the function of this qualified name, or None if it counts."""
    return next((area for area, pattern in OUTSIDE.items() if re.search(pattern, function)), None)
