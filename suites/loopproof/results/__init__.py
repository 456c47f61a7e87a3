"""The result file: one run of the suite against one loop. `read` it, or write it case by case with `ResultWriter`."""

from .model import (
    FINDINGS,
    LEVELS,
    SCHEMA,
    VERDICTS,
    CaseResult,
    LoopInfo,
    Platform,
    Result,
    ResultError,
    worst,
)
from .reading import parse, read
from .text import EVIDENCE_LIMIT, MESSAGE_LIMIT, bounded
from .writing import ResultWriter

__all__ = [
    "EVIDENCE_LIMIT",
    "FINDINGS",
    "LEVELS",
    "MESSAGE_LIMIT",
    "SCHEMA",
    "VERDICTS",
    "CaseResult",
    "LoopInfo",
    "Platform",
    "Result",
    "ResultError",
    "ResultWriter",
    "bounded",
    "parse",
    "read",
    "worst",
]
