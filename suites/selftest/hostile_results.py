"""Small results made by hand, and one in which every text is hostile."""

from typing import Any

import samples

from loopproof.results import VERDICTS, CaseResult, LoopInfo, Platform, Result

HOSTILE = (
    "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'><!-- <script> ]]> --> "
    "\"'`|&lt;&amp;{{ 7 * 7 }}{% raw %} [a](http://example.invalid) @everyone #1 www.example.invalid *b* "
    "\x1b[2J\x1b]0;title\x07 \u202egnp\u2066 \u2028\u2029 \x00 ``` ~~~ \\"
)
"""What a hostile loop may put into any text."""


def case(name: str, verdict: str = "pass", **more: Any) -> CaseResult:
    return CaseResult(f"timers/test_a.py::{name}", "timers", ("TIME-CALL_LATER-01",), "must", verdict, **more)


def result(loop: LoopInfo, *found: CaseResult, **more: Any) -> Result:
    defaults = {
        "python": "3.13.0",
        "platform": samples.MACHINE,
        "started": "2026-01-02T03:04:05+00:00",
        "seconds": 1.0,
        "complete": True,
        "planned": len(found),
        "control": None if loop == samples.STOCK else samples.STOCK,
    }
    return Result(loop=loop, cases=found, **(defaults | more))


def hostile_result() -> Result:
    """A run whose every text is hostile; each is told apart by its beginning."""
    told = {verdict: f"{verdict} {HOSTILE}" for verdict in VERDICTS}
    found = [
        CaseResult(
            id=f"id-{verdict} {HOSTILE}",
            area=f"area {HOSTILE}",
            requirements=(f"requirement {HOSTILE}", "TIME-CALL_LATER-01"),
            level="must",
            verdict=verdict,
            message=f"message {text}\nexpected: {HOSTILE}\nseen: {HOSTILE}",
            evidence=f"evidence {text}\n{HOSTILE}",
            reproducer=f"reproducer {text}",
        )
        for verdict, text in told.items()
    ]
    return result(
        LoopInfo(f"name {HOSTILE}", f"factory {HOSTILE}", f"distribution {HOSTILE}", f"version {HOSTILE}"),
        *found,
        python=f"python {HOSTILE}",
        platform=Platform(*(f"{field} {HOSTILE}" for field in ("system", "release", "machine", "libc"))),
        started=f"started {HOSTILE}",
        complete=False,
        planned=len(found) + 1,
        missing=(f"missing {HOSTILE}",),
        running=(f"running {HOSTILE}",),
        suite=f"suite {HOSTILE}",
    )


def refused_result() -> Result:
    return result(LoopInfo("refused", "a:b"), complete=False, error=f"error {HOSTILE}")
