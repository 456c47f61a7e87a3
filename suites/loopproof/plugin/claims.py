"""What the probe found a loop able to do, set against what its profile declares."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..capabilities import CAPABILITIES

WORKS = "works"
MISSING = "missing"


@dataclass(frozen=True)
class Claims:
    """The outcome of the probe of one loop.

    absent: names of AbstractEventLoop's methods that the loop does not have or merely inherits from it.
    probed: capability -> `WORKS`, `MISSING` (NotImplementedError or no such method), or how else it failed.
    lacks: capabilities that the profile declares missing.
    leaves: kinds of leftovers (see `hygiene.kind_of`) of a loop that ran once and was closed; they are one finding, and
    not held against each case.
    tried: False if nothing was tried, and the profile was believed.
    """

    absent: frozenset[str] = frozenset()
    probed: Mapping[str, str] = field(default_factory=dict)
    lacks: frozenset[str] = frozenset()
    leaves: frozenset[str] = frozenset()
    tried: bool = True

    def lacking(self, capability: str) -> bool:
        """Tell whether cases that need the capability are to be skipped.

        It is missing, or it fails and the profile declares it missing. What fails undeclared is tested all the same.
        """
        outcome = self.probed.get(capability, WORKS)
        return outcome == MISSING or (outcome != WORKS and capability in self.lacks)

    def finding(self, capability: str) -> str | None:
        """Say in what the claim about a capability is wrong, or None."""
        outcome = self.probed.get(capability, WORKS)
        declared = capability in self.lacks
        if outcome == WORKS:
            return f"the profile declares that the loop lacks {capability}, but it works" if declared else None
        if declared:
            return None
        return f"the loop lacks {capability} ({outcome}), which its profile does not declare"

    def reason_to_skip(self, needed: Iterable[str], apis: Iterable[str]) -> str | None:
        """Return why a case that uses these capabilities and APIs (``loop.NAME``) cannot run, or None."""
        capabilities = set(needed)
        for api in apis:
            method = api.removeprefix("loop.")
            if api != method:
                if method in self.absent:
                    return f"the loop does not implement {method}()"
                capabilities.update(name for name, known in CAPABILITIES.items() if method in known.methods)
        for capability in sorted(capabilities):
            if self.lacking(capability):
                return f"the loop lacks {capability}: {self.probed[capability]}"
        return None

    @classmethod
    def trusting(cls, lacks: frozenset[str]) -> "Claims":
        """Return the claims of a profile as if they had been found true."""
        return cls(probed=dict.fromkeys(lacks, MISSING), lacks=lacks, tried=False)

    def to_json(self) -> dict[str, Any]:
        """Return plain data, for another process."""
        return {
            "absent": sorted(self.absent),
            "probed": dict(self.probed),
            "lacks": sorted(self.lacks),
            "leaves": sorted(self.leaves),
            "tried": self.tried,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Claims":
        """Return what `to_json` made plain."""
        return cls(
            absent=frozenset(data["absent"]),
            probed=dict(data["probed"]),
            lacks=frozenset(data["lacks"]),
            leaves=frozenset(data["leaves"]),
            tried=data["tried"],
        )
