"""Reports: the facts that they tell, and that nothing a loop says becomes markup, script, link or escape sequence."""

import base64
import hashlib
import html.parser
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import markdown_it
import pytest
import samples
from rich.console import Console

from loopproof import spec
from loopproof.report import compare, control, markdown, plain, tally, terminal, texts
from loopproof.report import html as page
from loopproof.results import FINDINGS, VERDICTS, CaseResult, LoopInfo, Platform, Result

SPEC = spec.load()
HOSTILE = (
    "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'><!-- <script> ]]> --> "
    "\"'`|&lt;&amp;{{ 7 * 7 }}{% raw %} [a](http://example.invalid) @everyone #1 www.example.invalid *b* "
    "\x1b[2J\x1b]0;title\x07 \u202egnp\u2066 \u2028\u2029 \x00 ``` ~~~ \\"
)
"""What a hostile loop may put into any text."""


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
        if self.elements and self.cdata_elem is not None:
            tag, attributes, text = self.raw[-1]
            self.raw[-1] = (tag, attributes, text + data)
        else:
            self.text += data

    def data(self, name: str) -> Any:
        return next(json.loads(text) for _, attributes, text in self.raw if attributes.get("id") == name)


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


def test_a_lone_surrogate_does_not_break_a_report(tmp_path: Path) -> None:
    strange = case("a[\ud800]", "fail", message="\udcff said", evidence="\ud83d")
    run = samples.run_of(tmp_path, samples.UVLOOP, [strange])
    for text in (page.render([run], SPEC), markdown.render([run], SPEC), printed(run)):
        assert r"\ud800" in text.encode("utf-8").decode()


def markup_of(text: str) -> tuple[list[Any], str]:
    parser = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = parser.parse(text)
    return [inner for token in tokens for inner in (token, *(token.children or ()))], parser.render(text)


def test_the_markdown_summary_tells_the_facts(four: list[Result]) -> None:
    text = markdown.render([*four, samples_refused := refused_result()], SPEC)
    lines = text.splitlines()
    assert samples_refused.error is not None
    row = next(line for line in lines if line.startswith("| ❌ rloop"))
    numbers = [int(cell or 0) for cell in row.replace(" ", "").split("|")[4:-2]]
    seen = four[2].summary
    assert numbers == [seen["pass"], *(seen[verdict] for verdict in FINDINGS), seen["deviation"], 0, seen["skip"], 0]
    assert any(line.startswith("| ❌ asyncio (control)") for line in lines)
    assert text.count("> [!CAUTION]") == 2
    assert f"INCOMPLETE&#58; {len(four[3].cases)} of {four[3].planned} planned cases" in text
    shared = sum(1 for found in four[1].findings if four[0].by_id[found.id].found)
    assert shared > 0
    assert f"{len(four[1].findings)} findings, {shared} of them also in the control" in text
    assert sum(line.startswith("- **") for line in lines) == sum(min(len(run.findings), markdown.SHOWN) for run in four)
    tokens, _ = markup_of(text)
    assert sum(token.type == "table_open" for token in tokens) == 2


def test_hostile_text_stays_text_in_markdown() -> None:
    text = markdown.render([hostile_result(), refused_result()], SPEC)
    tokens, shown = markup_of(text)
    kinds = {token.type for token in tokens}
    assert not kinds & {"link_open", "image", "fence", "em_open", "s_open"}
    raw = {token.content for token in tokens if token.type in ("html_inline", "html_block")}
    assert {re.sub(r"(?<=<summary>).*(?=</summary>)", "", content.strip(), flags=re.DOTALL) for content in raw} <= {
        *("<br>", "</details>", "<!-- -->", "<details><summary></summary>")
    }
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e\u2066\u2028]", text)
    outside = re.sub(r"<code>.*?</code>", "", shown, flags=re.DOTALL)
    assert "<script" not in shown
    assert "<img" not in shown
    assert "@everyone" not in outside
    width = {line.count("|") for line in text.splitlines() if line.startswith("| ")}
    assert width == {14, 4}  # one column more would mean that a pipe got through


def printed(run: Result, **more: Any) -> str:
    output = io.StringIO()
    terminal.render(run, SPEC, Console(file=output, width=80), **more)
    return output.getvalue()


def test_the_terminal_tells_each_area_and_lists_what_the_control_does_not_have(four: list[Result]) -> None:
    stock, uvloop = four[:2]
    text = printed(uvloop, control=stock)
    lines = text.splitlines()
    assert "\x1b" not in text
    heading = f"uvloop 0.22.1 on Python 3.13.0: {len(uvloop.findings)} findings ("
    assert sum(line.startswith(heading) for line in lines) == 1
    header = next(line.split() for line in lines if line.split()[:1] == ["area"])
    for area in ("lifecycle", "tls"):
        row = next(line.split() for line in lines if line.split()[1:2] == [area])
        seen = Counter(found.verdict for found in uvloop.cases if found.area == area)
        assert row[2:] == [str(seen[verdict] or ".") for verdict in header[1:]]
    new = [found for found in uvloop.findings if not stock.by_id[found.id].found]
    listed = [line[8:] for line in lines if line[2:7].strip() in FINDINGS and "::test_" in line]
    assert len(listed) == terminal.SHOWN
    assert set(listed) <= {found.id for found in new}
    assert set(listed) >= {found.id for found in new if found.verdict == "hang"}
    assert f"and {len(new) - terminal.SHOWN} more" in text
    assert f"{len(uvloop.findings) - len(new)} more that the control has too" in text
    assert any(len(line) > 80 for line in lines)  # not wrapped: a log is searched
    everything = printed(uvloop, shown=10_000)
    assert all(f"{found.verdict:5} {found.id}" in everything for found in uvloop.findings)
    assert "findings:" in everything


def test_the_terminal_is_loud_about_runs_that_are_not_whole(four: list[Result]) -> None:
    broken = four[3]
    text = printed(broken, control=four[0])
    assert f"INCOMPLETE: {len(broken.cases)} of {broken.planned} planned cases have a verdict" in text
    assert f"{len(broken.missing)} cases without a verdict; in flight at the end: {broken.running[0]}" in text
    refused = printed(refused_result())
    assert "refused on Python 3.13.0: could not be run: error </script>" in refused
    nothing = printed(result(samples.UVLOOP, case("a", "skip")))
    assert "nothing was proved" in nothing
    assert "conforms: 1 of 1 case pass" in printed(result(samples.STOCK, case("a")))


def test_the_terminal_has_colours_only_where_they_show(four: list[Result]) -> None:
    output = io.StringIO()
    terminal.render(four[1], SPEC, Console(file=output, force_terminal=True, width=80, color_system="standard"))
    assert "\x1b[" in output.getvalue()
    assert re.sub(r"\x1b\[[0-9;]*m", "", output.getvalue()) == printed(four[1])


def test_hostile_text_is_inert_on_the_terminal() -> None:
    before = result(LoopInfo("a", "a:b"), *(replace(found, verdict="pass") for found in hostile_result().cases))
    output = io.StringIO()
    compare.render(compare.difference(before, hostile_result()), Console(file=output, width=80))
    for text in (printed(hostile_result()), printed(refused_result()), output.getvalue()):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2066\u2028]", text)
        assert r"\x1b[2J" in text


def test_the_difference_of_two_results() -> None:
    before = result(
        samples.UVLOOP,
        *(case("same"), case("breaks"), case("mended", "crash"), case("excused", "fail"), case("graver", "fail")),
        *(case("gone"), case("lost"), case("fixed", "deviation"), case("still", "leak")),
    )
    after = result(
        replace(samples.UVLOOP, version="0.23.0"),
        *(case("same"), case("breaks", "hang", message="seen: no end"), case("mended"), case("excused", "deviation")),
        *(case("graver", "crash"), case("fixed", "fixed"), case("still", "leak"), case("new"), case("new bad", "fail")),
        complete=False,
        planned=10,
        missing=(case("lost").id,),
    )
    found = compare.difference(before, after)

    def names(changes: Sequence[compare.Change]) -> list[tuple[str, str]]:
        return [(change.id.partition("::")[2], change.words) for change in changes]

    assert names(found.failing) == [("breaks", "pass -> hang"), ("new bad", "none -> fail")]
    assert names(found.passing) == [("mended", "crash -> pass")]
    assert names(found.changed) == [
        ("excused", "fail -> deviation"),
        ("fixed", "deviation -> fixed"),
        ("graver", "fail -> crash"),
    ]
    assert names(found.new) == [("new", "none -> pass")]
    assert names(found.gone) == [("gone", "pass -> none")]
    assert names(found.lost) == [("lost", "pass -> none")]
    assert found.worse
    output = io.StringIO()
    compare.render(found, Console(file=output, width=40))
    text = output.getvalue()
    assert "newly failing (2):\n  pass -> hang         timers/test_a.py::breaks\n      seen: no end\n" in text
    assert text.startswith("before uvloop 0.22.1 on Python 3.13.0: ")
    assert "\nafter  uvloop 0.23.0 on Python 3.13.0: INCOMPLETE" in text


def test_no_difference_and_only_better_ones_are_not_worse() -> None:
    bad, good = result(samples.UVLOOP, case("a", "fail")), result(samples.UVLOOP, case("a"))
    assert not compare.difference(bad, good).worse
    assert not compare.difference(bad, bad).worse
    assert compare.difference(good, bad).worse
    assert compare.difference(good, replace(good, complete=False, error="broke off")).worse
    output = io.StringIO()
    compare.render(compare.difference(good, good), Console(file=output))
    assert "no difference: 1 case with the same verdicts" in output.getvalue()


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


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("\n  \n  first\nsecond", "first"),
        ("a\x1b[31mred\x00", r"a\x1b[31mred\x00"),
        ("a\u202eb\u200bc", r"a\u202eb\u200bc"),
        ("grüße 漢字 🎉", "grüße 漢字 🎉"),
        ("x" * 200, "x" * 159 + "…"),
    ],
)
def test_one_line_of_any_text(text: str, line: str) -> None:
    assert plain.line_of(text) == line


def test_a_message_comes_down_to_what_was_expected_and_seen() -> None:
    assert plain.gist_of("known deviation: x\nexpected: a\nmore\nseen: b\nseen: c") == ["expected: a", "seen: b"]
    assert plain.gist_of("needs fdwatch\nand more") == ["needs fdwatch"]
    assert plain.gist_of("\n") == []
