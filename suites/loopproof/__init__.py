"""loopproof: a conformance and stress suite for asyncio event loops."""

__version__ = "0.1.0"
