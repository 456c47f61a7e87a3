"""What reports call a run, and the one line on how it ended."""

from ..results import FINDINGS, Result
from .plain import counted, line_of
from .tally import total


def title_of(result: Result) -> str:
    """Return the loop, its version and its Python, e.g. ``uvloop 0.22.1 on Python 3.13.0``."""
    loop = result.loop
    version = f" {loop.version}" if loop.distribution and loop.version else ""
    return line_of(f"{loop.name}{version} on Python {result.python}")


def standing_of(result: Result) -> str:
    """Return how a run ended: could not be run, incomplete, its findings, or that the loop conforms."""
    if result.error is not None:
        return f"could not be run: {line_of(result.error, 400)}"
    found = total(result)
    kinds = ", ".join(f"{result.summary[verdict]} {verdict}" for verdict in FINDINGS if result.summary[verdict])
    findings = f"{counted(found.findings, 'finding')} ({kinds})" if found.findings else "no findings"
    if not result.complete:
        return (
            f"INCOMPLETE: {len(result.cases)} of {counted(result.planned, 'planned case')} have a verdict; {findings}"
        )
    if result.conforms:
        return f"conforms: {found.passed} of {counted(found.applicable, 'case')} pass, no findings"
    return findings if found.findings else "nothing was proved: no case passed"
