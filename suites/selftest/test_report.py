"""The HTML report as a document, and what reports count: the facts, and that nothing a loop says becomes markup."""

import base64
import hashlib
import html.parser
import json
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import samples
from hostile_results import HOSTILE, case, hostile_result, refused_result, result

from loopproof import spec
from loopproof.report import control, tally, texts
from loopproof.report import html as page
from loopproof.results import FINDINGS, VERDICTS, Result

SPEC = spec.load()


class Elements(html.parser.HTMLParser):
    """The elements of a page and the text of each script and style, as a parser sees them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, dict[str, str | None], str]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.raw.append((tag, dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem in ("script", "style"):
            tag, attributes, text = self.raw[-1]
            self.raw[-1] = (tag, attributes, text + data)
        else:
            self.text += data

    def data(self, name: str) -> Any:
        return next(json.loads(text) for _, attributes, text in self.raw if attributes.get("id") == name)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    return samples.four(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def rendered(four: list[Result]) -> Elements:
    return Elements(page.render(four, SPEC))


def test_the_page_carries_each_verdict_message_evidence_and_reproducer(four: list[Result], rendered: Elements) -> None:
    data, long = rendered.data("data"), rendered.data("texts")
    ids = [entry["id"] for entry in data["cases"]]
    names = dict(
        zip(
            "pfchldxsm",
            (*VERDICTS[:1], "fail", "crash", "hang", "leak", "deviation", "fixed", "skip", "missing"),
            strict=True,
        )
    )
    assert len(ids) == len(set(ids)) == four[0].planned

    def long_text(index: int) -> str:
        return "" if index < 0 else "\n".join(long["lines"][line] for line in long["texts"][index])

    for run, shown in zip(four, data["loops"], strict=True):
        told = dict(zip(ids, shown["verdicts"], strict=True))
        assert {id_: names[code] for id_, code in told.items()} == {
            **{found.id: found.verdict for found in run.cases},
            **dict.fromkeys(run.missing, "missing"),
        }
        for number, id_ in enumerate(ids):
            detail = shown["details"].get(str(number))
            found = run.by_id.get(id_)
            if found is not None and found.verdict != "pass":
                assert detail is not None
                assert data["messages"][detail[0]] == found.message
                assert (long_text(detail[1]), long_text(detail[2])) == (found.evidence, found.reproducer)


def test_the_page_knows_control_requirements_and_sources(rendered: Elements) -> None:
    data = rendered.data("data")
    assert [(loop["label"], loop["stock"], loop["against"]) for loop in data["loops"]] == [
        ("asyncio", True, None),
        ("uvloop", False, 0),
        ("rloop", False, 0),
        ("crashloop", False, 0),
    ]
    requirements = {entry["id"]: entry for entry in data["requirements"]}
    assert requirements.keys() == SPEC.requirements.keys()
    some = requirements["LIFE-STOP-01"]
    assert some["text"] == SPEC.requirements["LIFE-STOP-01"].text
    assert some["url"].startswith("https://docs.python.org/3/library/")
    assert some["since"] == "3.4"
    for entry in data["cases"]:
        assert all(
            data["requirements"][place]["area"] == data["areas"][entry["area"]] for place in entry["requirements"]
        )


def test_the_page_loads_nothing_and_runs_only_its_own_scripts(rendered: Elements) -> None:
    policy = next(attributes["content"] for tag, attributes in rendered.elements if "http-equiv" in attributes)
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    allowed = re.findall(r"'sha256-([^']+)'", policy)
    code = [text for _, attributes, text in rendered.raw if attributes.get("type") != "application/json"]
    assert sorted(allowed) == sorted(base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in code)
    for tag, attributes in rendered.elements:
        assert tag not in ("link", "iframe", "img", "object", "embed", "base")
        assert "src" not in attributes
        assert "style" not in attributes
        assert not attributes.get("href", "#") or (attributes.get("href") or "#").startswith("#")
    for text in code:
        assert not re.search(
            r"@import|url\(|innerHTML|insertAdjacentHTML|document\.write|\beval\b|fetch\(|XMLHttp", text
        )


def test_the_matrix_without_scripts_counts_each_area(four: list[Result]) -> None:
    text = page.render([*four, refused_result()], SPEC)
    inside = text[text.index("<noscript>") : text.index("</noscript>")]
    rows = {
        cells[0]: cells[1:]
        for row in re.findall("<tr>(.*?)</tr>", inside, re.DOTALL)
        if (cells := re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL))
    }
    for area in ("lifecycle", "connections", "primitives"):
        for run, cell in zip(four, rows[area], strict=False):
            seen = Counter(found.verdict for found in run.cases if found.area == area)
            missing = sum(id_.startswith(f"{area}/") for id_ in run.missing)
            passed = seen["pass"] + seen["fixed"]
            found = [f"{seen[verdict]} {verdict}" for verdict in FINDINGS if seen[verdict]]
            found += [f"{missing} without a verdict"] if missing else []
            assert cell == ", ".join([f"{passed}/{seen.total() - seen['skip'] + missing}", *found])
        assert rows[area][4] == "not run"
    assert "INCOMPLETE" in inside
    assert "could not be run: error " in inside


def test_hostile_text_stays_text_in_the_page() -> None:
    hostile = hostile_result()
    elements = Elements(page.render([hostile, refused_result()], SPEC, title=HOSTILE))
    honest = Elements(page.render([result(samples.UVLOOP, case("a"))], SPEC))
    assert [attributes for tag, attributes in elements.elements if tag == "script"] == [
        attributes for tag, attributes in honest.elements if tag == "script"
    ]
    assert {tag for tag, _ in elements.elements} <= {tag for tag, _ in honest.elements} | {"p"}
    assert not [name for _, attributes in elements.elements for name in attributes if name.startswith("on")]
    data = elements.data("data")
    shown, refused = data["loops"]
    # the page holds what was said, exactly
    assert {entry["id"] for entry in data["cases"]} >= {found.id for found in hostile.cases}
    assert set(data["messages"]) == {found.message for found in hostile.cases}
    assert {shown[field] for field in ("name", "factory", "distribution", "version", "python", "suite")} == {
        f"{field} {HOSTILE}" for field in ("name", "factory", "distribution", "version", "python", "suite")
    }
    assert refused["error"] == f"error {HOSTILE}"
    assert {"".join(text) for text in elements.data("texts")["lines"]} >= {HOSTILE}


def test_the_control_is_the_stock_loop_of_the_same_python() -> None:
    stock = result(samples.STOCK, case("a", "fail"))
    older = replace(stock, python="3.12.1")
    cut = replace(stock, complete=False)
    other = result(samples.UVLOOP, case("a", "fail"))
    assert control.controls_of([older, cut, stock, other]) == [None, None, None, 2]
    assert control.control_of(other, [older]) is None
    assert control.also_in_control(other.cases[0], stock)
    assert not control.also_in_control(other.cases[0], None)
    assert not control.also_in_control(case("b", "fail"), stock)
    assert not control.also_in_control(case("a"), stock)
    assert control.labels_of([older, stock, other]) == ["asyncio py3.12.1", "asyncio py3.13.0", "uvloop"]
    newer = replace(other, loop=replace(samples.UVLOOP, version="0.23.0"))
    assert control.labels_of([other, newer]) == ["uvloop 0.22.1", "uvloop 0.23.0"]
    assert len(set(control.labels_of([other, other, newer]))) == 3


def test_a_share_is_whole_only_if_all_is() -> None:
    almost = tally.Tally(result(samples.UVLOOP, *(case(f"c{n}") for n in range(999)), case("bad", "leak")).summary)
    assert (almost.percent, almost.status, almost.worst) == (99, "finding", "leak")
    nothing = tally.Tally(result(samples.UVLOOP, case("a", "skip")).summary)
    assert (nothing.percent, nothing.status, nothing.worst) == (None, "skip", "skip")
    lost = tally.Tally(result(samples.UVLOOP, case("a")).summary, missing=1)
    assert (lost.percent, lost.status, lost.worst) == (50, "incomplete", "missing")


def test_texts_share_lines_and_are_cut_beyond_the_budget() -> None:
    table = texts.TextTable(budget=10_000)
    assert table.add("", 100) == -1
    assert (table.add("a\nb", 100), table.add("a\nb", 100), table.add("b\na\nb", 100)) == (0, 0, 1)
    assert table.to_json() == {"lines": ["a", "b"], "texts": [[0, 1], [1, 0, 1]]}
    table.add("x" * 20_000, 50_000)
    table.add("y" * 20_000, 50_000)
    assert max(map(len, table.to_json()["lines"][3:])) < 2_000
    assert sum(map(len, table.to_json()["lines"])) < 23_000
