"""The reports as text: terminal, Markdown and the difference of two results; hostile text does nothing in any."""

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import markdown_it
import pytest
import samples
from hostile_results import case, hostile_result, refused_result, result
from rich.console import Console

from loopproof import spec
from loopproof.report import compare, html, markdown, plain, terminal
from loopproof.results import FINDINGS, LoopInfo, Result

SPEC = spec.load()


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    return samples.four(tmp_path_factory.mktemp("results"))


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


def test_a_lone_surrogate_does_not_break_a_report(tmp_path: Path) -> None:
    strange = case("a[\ud800]", "fail", message="\udcff said", evidence="\ud83d")
    run = samples.run_of(tmp_path, samples.UVLOOP, [strange])
    for text in (html.render([run], SPEC), markdown.render([run], SPEC), printed(run)):
        assert r"\ud800" in text.encode("utf-8").decode()


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
