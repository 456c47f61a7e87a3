"""The probe: before any case, load the loop in a process of its own and try once what it can do.

``python -m loopproof.plugin.probe LOOP PATIENCE [CAPABILITY ...]`` writes one JSON line a fact, so that what was found
before the loop took the process down is kept.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..loops import LoopError, LoopSpec
from .blackbox import arm, disarm
from .claims import MISSING, WORKS, Claims
from .hygiene import Watch, kind_of
from .probes import PROBES

PATIENCE = 10.0


def probe(loop: LoopSpec, lacks: frozenset[str], patience: float = PATIENCE) -> Claims:
    """Try the loop and return what it can do. ``patience``: seconds that loading it, and each attempt, may take.

    Raises `LoopError` with one line where no usable loop can be had, also where loading it kills the process.
    """
    facts = _facts(loop.factory, patience, list(PROBES))
    if "error" in facts:
        raise LoopError(str(facts["error"]))
    if "absent" not in facts:
        raise LoopError(f"{loop.factory}: {facts['death']} while the loop was loaded or made; nothing could be run")
    probed: dict[str, str] = facts["probed"]
    while left := [name for name in PROBES if name not in probed]:  # it died in the first of these
        probed[left[0]] = str(facts.get("death") or facts.get("error"))
        if len(left) > 1:
            facts = {**facts, **_facts(loop.factory, patience, left[1:])}
            probed.update(facts["probed"])
    return Claims(frozenset(facts["absent"]), probed, lacks, frozenset(facts.get("leaves", ())))


def _facts(loop: str, patience: float, capabilities: Sequence[str]) -> dict[str, Any]:
    """Run the probe in a process and gather its facts; ``death`` says how it ended if not well."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
    command = [sys.executable, "-m", __name__, loop, str(patience), *capabilities]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            output, errors = process.communicate(timeout=patience * (len(capabilities) + 2))
        except subprocess.TimeoutExpired as expired:  # its watchdog is dead, or a child of it holds the pipes
            process.kill()
            output, errors = expired.stdout or b"", b"Timeout ("
    facts: dict[str, Any] = {"probed": {}}
    for line in output.decode(errors="replace").splitlines():
        try:
            fact = json.loads(line)
        except ValueError:
            continue
        if isinstance(fact, dict):
            facts["probed"].update(fact.pop("probed", {}))
            facts.update(fact)
    if "end" not in facts:
        facts["death"] = _death(process.returncode, errors.decode(errors="replace"))
    return facts


def _death(status: int, errors: str) -> str:
    if status < 0:
        return f"the process was killed by {signal.Signals(-status).name}"
    if "Timeout (" in errors:
        return "the attempt did not end"
    last = errors.strip().splitlines()[-1:] or ["no message"]
    return f"the process exited with status {status} ({last[0]})"


def _say(**fact: object) -> None:
    print(json.dumps(fact), flush=True)


def _absent(loop: asyncio.AbstractEventLoop) -> list[str]:
    base = asyncio.AbstractEventLoop
    names = [name for name in vars(base) if not name.startswith("_") and callable(getattr(base, name))]
    return [
        name
        for name in names
        if not callable(getattr(loop, name, None)) or getattr(type(loop), name, None) is getattr(base, name)
    ]


def _leaves(factory: Any) -> list[str]:
    """Return the kinds of what a loop that ran once leaves when it is closed, beyond what the first one leaves."""
    for _ in range(2):
        with Watch() as watch:
            loop = factory()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
            left = watch.inspect()  # with the closed loop still referred to, as in a case
    return sorted({kind_of(text) for text in left.lasting + left.warned})


def _attempt(factory: Any, name: str) -> str:
    loop = factory()
    try:
        PROBES[name](loop)
    except (NotImplementedError, AttributeError):
        return MISSING
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    finally:
        loop.close()
    return WORKS


def main(arguments: Sequence[str]) -> None:
    """Write the facts about the loop named first; the seconds for each attempt and the capabilities to try follow."""
    name, patience, *capabilities = arguments
    arm(None, float(patience))
    try:
        spec = LoopSpec.parse(name)
        factory = spec.resolve()
        loop = spec.make(factory)
        _say(absent=_absent(loop))
        loop.close()
        _say(leaves=_leaves(factory))
    except LoopError as error:
        _say(error=str(error), end=True)
        return
    for capability in capabilities:
        if capability in PROBES:
            arm(None, float(patience))
            _say(probed={capability: _attempt(factory, capability)})
    disarm()
    _say(end=True)


if __name__ == "__main__":
    main(sys.argv[1:])
