"""Where the files are that come with the package and are no code: profiles, the schema of the result file."""

from pathlib import Path

_HERE = Path(__file__).parent

FIXTURES = _HERE / "fixtures" if (_HERE / "fixtures").is_dir() else _HERE.parents[1] / "fixtures"
"""The folder of an installed package, or of the source tree where the package runs from there."""
