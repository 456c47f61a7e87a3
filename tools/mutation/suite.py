"""How these tools run the suite: on stock asyncio, with no plugins but those that it needs, its cases compiled once."""

import os
from pathlib import Path

PLUGINS = ("xdist.plugin", "loopproof.plugin")


def command(*options: str) -> list[str]:
    """Return the arguments that run the suite, with the plugins of this folder in reach, by this interpreter."""
    plugins = [option for name in PLUGINS for option in ("-p", name)]
    return ["-m", "pytest", "--pyargs", "loopproof", *plugins, "--loop", "asyncio", "--trust-profile", "-q", *options]


def environment() -> dict[str, str]:
    """Return the environment of such a run."""
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
