"""One self-contained HTML page that compares the runs of several loops; it loads nothing and runs no foreign script."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from ..results import FINDINGS, Result
from .control import is_stock, labels_of
from .naming import standing_of
from .payload import payload_of
from .tally import by_area, total

if TYPE_CHECKING:
    from ..spec import Spec

_PAGE = Path(__file__).parent / "page"
_SCRIPTS = (
    "data.js",
    "dom.js",
    "state.js",
    "filter.js",
    "navigation.js",
    "matrix.js",
    "list.js",
    "detail.js",
    "coverage.js",
    "main.js",
)
"""In the order of their use; together they are one script in one scope."""

_STYLES = ("theme.css", "page.css", "tables.css")


def render(results: Sequence[Result], spec: Spec, *, title: str = "asyncio event loops") -> str:
    """Return the page.

    Args:
        results: one run a column, in this order; a run of the stock loop is recognised as the control of the others.
        spec: the requirements, for their texts and for those that no case covers.
        title: what the page is about.
    """
    main, texts = payload_of(results, spec)
    runs = [_run(result, label, main["areas"]) for result, label in zip(results, labels_of(results), strict=True)]
    style = "\n".join((_PAGE / name).read_text(encoding="utf-8") for name in _STYLES)
    early = (_PAGE / "early.js").read_text(encoding="utf-8")
    parts = "\n".join((_PAGE / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{parts}\n}})();\n'
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PAGE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("page.html").render(
        title=title,
        policy=f"default-src 'none'; script-src '{_hash(early)}' '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'",
        style=Markup(style),
        early=Markup(early),
        script=Markup(script),
        icons=Markup((_PAGE / "icons.svg").read_text(encoding="utf-8")),
        main=Markup(_embedded(main)),
        texts=Markup(_embedded(texts)),
        runs=runs,
        areas=[area for area in main["areas"] if any(run["tallies"][area] for run in runs)],
        findings=FINDINGS,
    )


def _run(result: Result, label: str, areas: Iterable[str]) -> dict[str, Any]:
    """Return what the page says of a run where scripts do not run."""
    tallies = by_area(result)
    return {
        "label": label,
        "result": result,
        "stock": is_stock(result),
        "standing": standing_of(result),
        "total": total(result),
        "tallies": {area: tallies.get(area) for area in areas},
    }


def _embedded(data: Any) -> str:
    """Return JSON that an HTML parser takes for nothing but text: without ``<``, ``>`` and ``&``."""
    dumped = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return dumped.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
