"""The cases: one folder an area, one file a group of requirements."""

from pathlib import Path

ROOT = Path(__file__).parent


def case_id(nodeid: str) -> str | None:
    """Return the id of the case that a pytest node id names: its path below this folder, function and parameters.

    None if the node is not one of the suite's cases.
    """
    path, separator, name = nodeid.partition("::")
    parts = Path(path).parts
    for index in range(len(parts) - 3, -1, -1):
        if parts[index] == "cases" and parts[index - 1 : index] in ((), ("loopproof",)):
            return "/".join(parts[index + 1 :]) + separator + name
    return None
