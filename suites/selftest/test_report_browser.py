"""The HTML report in a real browser: what it shows, filters and opens, by mouse and by keyboard, and never does."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import chromium
import pytest
import samples
from chromium import Browser
from hostile_results import HOSTILE, case, hostile_result, refused_result, result

from loopproof import spec
from loopproof.report import html
from loopproof.results import FINDINGS, LoopInfo, Result

SPEC = spec.load()
DETAIL = ".detail .panel"


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    chromium.required()
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    folder = tmp_path_factory.mktemp("results")
    return [*samples.four(folder), samples.unavailable(folder)]


@pytest.fixture(scope="module")
def page(runs: list[Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html.render(runs, SPEC), encoding="utf-8")
    return path


@pytest.fixture
def browser(window: Browser, page: Path) -> Iterator[Browser]:
    """The browser with the report; whatever a test does, the console stays silent and only files are read."""
    window.show(page)
    window.run("localStorage.clear()")
    yield window
    assert window.complaints() == []
    assert {url.partition(":")[0] for url in window.requests()} <= {"file", "about"}


def cell(browser: Browser, area: str, loop: str) -> str:
    """What the matrix says of a loop in an area, as a screen reader tells it."""
    return str(browser.one(f'.matrix td button[aria-label^="{loop}, {area}:"]').get_attribute("aria-label"))


def listed(browser: Browser) -> list[str]:
    """The names of the cases that the list shows."""
    while browser.all(".more:not([hidden])"):
        browser.run("document.querySelector('.more').click()")
    return [
        str(name) for name in browser.run("return [...document.querySelectorAll('.case-name')].map((e) => e.innerText)")
    ]


def names(ids: set[str]) -> set[str]:
    return {id_.partition("::")[2] for id_ in ids}


def matching(runs: list[Result], wanted: Callable[[Result, str], bool]) -> set[str]:
    """The ids of the cases for which something holds in at least one run."""
    return {id_ for run in runs for id_ in {*run.by_id, *run.missing} if wanted(run, id_)}


def verdict(run: Result, id_: str) -> str:
    return run.by_id[id_].verdict if id_ in run.by_id else "missing" if id_ in run.missing else "absent"


def search(browser: Browser, words: str) -> None:
    browser.one("#search").click()
    browser.run("document.activeElement.select()")
    browser.press("BACKSPACE", *words)
    browser.until("new URLSearchParams(location.hash.slice(1)).get('q') === (given[0] || null)", words)


def test_the_matrix_counts_every_area_of_every_loop(browser: Browser, runs: list[Result]) -> None:
    heads = [head.text for head in browser.all(".matrix thead th.loop")]
    assert [head.split()[0] for head in heads] == [run.loop.name for run in runs]
    assert "control" in heads[0]
    assert f"incomplete: {len(runs[3].cases):,} of {runs[3].planned:,}" in heads[3]
    assert "could not be run" in heads[4]
    labels = browser.run("return [...document.querySelectorAll('.matrix td button')].map((e) => e.ariaLabel)")
    expected = set()
    for run in runs[:4]:
        for area in ["all areas", *SPEC.areas]:
            own = [found for found in run.cases if area in ("all areas", found.area)]
            lost = sum(area == "all areas" or id_.startswith(f"{area}/") for id_ in run.missing)
            seen = Counter(found.verdict for found in own)
            passed, applicable = seen["pass"] + seen["fixed"], len(own) - seen["skip"] + lost
            rate = f"{passed * 100 // applicable} %: {passed} of {applicable} pass" if applicable else "nothing applied"
            found = [f"{seen[name]} {name}" for name in FINDINGS if seen[name]]
            shared = sum(1 for one in own if run is not runs[0] and one.found and runs[0].by_id[one.id].found)
            rest = [f"{shared} of them also in control"] if shared else []
            rest += [f"{seen['deviation']} deviation{'s' * (seen['deviation'] != 1)}"] if seen["deviation"] else []
            rest += [f"{lost} without a verdict"] if lost else []
            rest += [f"{seen['skip']} skipped"] if seen["skip"] else []
            expected.add(f"{run.loop.name}, {area}: {', '.join([rate, *found, *rest])}")
    assert set(labels) == expected
    assert len(labels) == len(expected)


def test_runs_that_are_not_whole_are_announced(browser: Browser, runs: list[Result]) -> None:
    incomplete, refused = (alert.text for alert in browser.all(".alert"))
    assert incomplete.startswith(
        f"crashloop is incomplete: {len(runs[3].cases):,} of {runs[3].planned:,} planned cases have a verdict."
    )
    assert runs[3].running[0] in incomplete
    assert refused.startswith("nowhere could not be run: ModuleNotFoundError")


def test_a_cell_opens_the_findings_of_its_loop_and_area(browser: Browser, runs: list[Result]) -> None:
    browser.one('.matrix td button[aria-label^="rloop, tls:"]').click()
    found = {one.id for one in runs[2].findings if one.area == "tls"}
    assert set(listed(browser)) == names(found)
    assert browser.text("#outcome").startswith(f"{len(found)} of {runs[0].planned:,} cases match")
    assert "area=tls" in browser.driver.current_url
    assert "loop=rloop" in browser.driver.current_url
    browser.driver.back()
    browser.until("document.querySelector('.matrix')")
    assert browser.focused()["data"] == {"column": "3", "area": str([*SPEC.areas].index("tls")), "loop": "2"}


def test_filters_by_verdict_level_loop_and_area_narrow_each_other(browser: Browser, runs: list[Result]) -> None:
    browser.one('[data-view="requirements"]').click()
    browser.one('[data-chip="crash"]').click()
    crashed = matching(runs, lambda run, id_: verdict(run, id_) == "crash")
    assert set(listed(browser)) == names(crashed)
    browser.one('[data-chip="hang"]').click()
    either = matching(runs, lambda run, id_: verdict(run, id_) in ("crash", "hang"))
    assert browser.text("#outcome").startswith(f"{len(either)} of")
    browser.one('[data-chip="should"]').click()
    levels = {one.id: one.level for one in runs[0].cases}
    assert browser.text("#outcome").startswith(f"{sum(levels[id_] == 'should' for id_ in either)} of")
    browser.one('#loop option[value="2"]').click()
    mine = {id_ for id_ in either if levels[id_] == "should" and verdict(runs[2], id_) in ("crash", "hang")}
    assert set(listed(browser)) == names(mine)
    area = min(mine).partition("/")[0]
    browser.one(f'#area option[value="{[*SPEC.areas].index(area)}"]').click()
    assert set(listed(browser)) == names({id_ for id_ in mine if id_.startswith(f"{area}/")})
    browser.one("#clear").click()
    assert browser.text("#outcome") == ""
    assert browser.driver.current_url.endswith("view=requirements")


def test_the_matrix_counts_what_the_filters_leave(browser: Browser, runs: list[Result]) -> None:
    browser.one('[data-chip="leak"]').click()
    for run in runs[1:4]:
        leaks = sum(one.verdict == "leak" and one.area == "lifecycle" for one in run.cases)
        if leaks:
            shown = browser.one(f'.matrix td button[aria-label^="{run.loop.name}, lifecycle:"] b')
            assert shown.text == str(leaks)
    browser.one('#area option[value="0"]').click()
    assert [row.text.split()[0] for row in browser.all(".matrix tbody th")] == ["lifecycle"]


def test_what_differs_from_the_control(browser: Browser, runs: list[Result]) -> None:
    browser.one("#differs").click()
    stock = runs[0]
    different = matching(runs[1:4], lambda run, id_: verdict(run, id_) not in ("missing", verdict(stock, id_)))
    assert browser.text("#outcome").startswith(f"{len(different):,} of")


def test_search_looks_at_cases_requirements_and_messages(browser: Browser, runs: list[Result]) -> None:
    search(browser, "sigsegv")
    assert set(listed(browser)) == names(matching(runs, lambda run, id_: verdict(run, id_) == "crash"))
    search(browser, "TIMER-CALL_AT")
    wanted = {one.id for one in runs[0].cases if any(name.startswith("TIMER-CALL_AT") for name in one.requirements)}
    assert wanted
    assert set(listed(browser)) == names(wanted)
    search(browser, "no such words anywhere")
    assert browser.text(".list tbody") == "Nothing matches these filters."
    search(browser, "")
    assert browser.driver.switch_to.active_element.get_attribute("id") == "search"


def test_the_address_keeps_the_state(browser: Browser, page: Path, runs: list[Result]) -> None:
    found = next(one for one in runs[2].findings if one.verdict == "hang")
    browser.one('[data-view="requirements"]').click()
    search(browser, found.id)
    rows = [row for row in browser.all("tr.case .opener") if found.id.partition("::")[2] in row.text]
    rows[0].click()
    browser.one('.tablist [role="tab"]:nth-child(2)').click()
    address = browser.driver.current_url
    shown = browser.text(DETAIL)
    browser.show(page, "#" + address.partition("#")[2])
    assert browser.text(DETAIL) == shown
    assert browser.one("#search").get_attribute("value") == found.id
    assert browser.one('.tablist [aria-selected="true"]').text.startswith("uvloop")
    browser.show(page, "#case=gone&requirement=NONE&loop=x&verdict=odd,&area=toString&view=__proto__&q=%E0%A4%A")
    assert browser.all(".matrix") or browser.all(".list")


def test_the_detail_shows_message_evidence_reproducer_and_the_control(
    browser: Browser, runs: list[Result], page: Path
) -> None:
    shared = next(one for one in runs[1].findings if runs[0].by_id[one.id].found)
    browser.show(page, f"#view=requirements&q={shared.id.partition('::')[2]}")
    next(row for row in browser.all("tr.case .opener") if shared.id.partition("::")[2] in row.text).click()
    for number, run in enumerate(runs[:3]):
        browser.all('.tablist [role="tab"]')[number].click()
        told = run.by_id[shared.id]
        assert ("also in control" in browser.text(f"{DETAIL} .headline")) == (number > 0)
        assert browser.one(f"{DETAIL} .message").text == told.message
        reproducer, evidence = browser.run(
            "return [...document.querySelectorAll('.panel .block pre')].map((e) => e.textContent)"
        )
        assert (reproducer, evidence) == (told.reproducer, told.evidence)
    browser.all('.tablist [role="tab"]')[4].click()
    assert "not planned for this run" in browser.text(DETAIL)
    requirement = SPEC.requirements[shared.requirements[0]]
    row = browser.run("return document.querySelector('.requirement:has(+ .about-row)').innerText")
    assert requirement.text in row
    assert requirement.level in row
    linked = next(one for one in runs[0].cases if SPEC.requirements[one.requirements[0]].url)
    browser.show(page, f"#requirement={linked.requirements[0]}")
    link = browser.one(".about-row a")
    assert link.get_attribute("href") == SPEC.requirements[linked.requirements[0]].url
    assert link.get_attribute("rel") == "noopener noreferrer"


def test_a_reproducer_is_copied(browser: Browser, runs: list[Result], page: Path) -> None:
    found = runs[1].findings[0]
    browser.show(page, f"#case={found.id.replace('[', '%5B').replace(' ', '%20')}&on=uvloop")
    browser.run(
        "window.copied = []; navigator.clipboard.writeText = (text) => { copied.push(text); return Promise.resolve(); }"
    )
    browser.all(f"{DETAIL} .block .copy")[0].click()
    browser.until("document.querySelector('.block .copy').textContent === 'copied'")
    assert browser.run("return copied") == [found.reproducer]
    assert browser.all(f"{DETAIL} .block .copy")[0].accessible_name == "copied"


def test_from_the_matrix_to_the_evidence_by_keyboard_alone(browser: Browser, runs: list[Result]) -> None:
    for _ in range(60):
        browser.press("TAB")
        where = browser.focused()
        assert where["outlined"] or where["id"] == "search"  # its frame shows the focus instead
        if where["data"].get("column") == "0" and where["data"].get("area") == "0":
            break
    assert browser.focused()["text"].startswith("lifecycle")
    browser.press("ARROW_RIGHT", "ARROW_RIGHT", "ARROW_RIGHT", "ARROW_DOWN", "ARROW_UP")
    assert browser.focused()["data"] == {"column": "3", "area": "0", "loop": "2"}
    assert browser.focused()["outlined"]
    browser.press("ENTER")
    found = {one.id for one in runs[2].findings if one.area == "lifecycle"}
    assert set(listed(browser)) == names(found)
    assert "opener" in browser.focused()["classes"]
    browser.press("ARROW_DOWN")
    assert browser.focused()["text"].startswith("test_")
    browser.press("SPACE")
    first = browser.focused()["text"].split("\n")[0].strip()
    told = next(one for one in runs[2].findings if one.area == "lifecycle" and one.id.partition("::")[2] == first)
    assert browser.one(f"{DETAIL} .message").text == told.message
    browser.press("TAB", "TAB")
    assert browser.focused()["text"].startswith("rloop")
    browser.press("ARROW_UP")
    assert browser.text(f"{DETAIL} .headline b") == "uvloop"
    browser.press("ESCAPE")
    assert browser.focused()["data"] == {"column": "3", "area": "0", "loop": "2"}
    assert browser.text("#outcome") == ""
    browser.press("/")
    assert browser.focused()["id"] == "search"
    browser.press("/")
    assert browser.one("#search").get_attribute("value") == "/"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(browser: Browser, page: Path, scheme: str) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    browser.show(page, scheme=scheme)
    own = browser.run(ground)
    assert (sum(int(part) for part in own[4:-1].split(",")) > 380) == (scheme == "light")
    browser.one("#theme").click()
    toggled = browser.run(ground)
    assert toggled != own
    for _ in range(20):  # the page may be loaded again before the browser has stored what it was told
        browser.driver.refresh()
        if browser.run(ground) == toggled:
            break
    assert browser.run(ground) == toggled
    browser.one("#theme").click()
    assert browser.run(ground) == own


def test_colours_are_readable_on_their_grounds(browser: Browser, page: Path, tmp_path: Path) -> None:
    worst = tmp_path / "worst.html"
    failing = [
        result(LoopInfo(verdict, "a:b", "a", "1"), *(case(f"test_{number}", verdict) for number in range(9)))
        for verdict in FINDINGS
    ]
    worst.write_text(html.render(failing, SPEC), encoding="utf-8")
    measure = """  // contrast of each text with the ground behind it, as WCAG counts it
        const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
        const rgba = (colour) => {
            canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data];
        };
        const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
            .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
        const ground = (e) => {
            for (; e; e = e.parentElement) {
                const colour = rgba(getComputedStyle(e).backgroundColor);
                if (colour[3] === 255) return colour;
            }
            return [255, 255, 255];
        };
        const poor = new Map();
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const e = walker.currentNode.parentElement;
            const passive = e.closest('.hidden, .nothing, [aria-disabled]');
            if (!walker.currentNode.data.trim() || !e.checkVisibility() || passive) continue;
            const [one, other] = [light(rgba(getComputedStyle(e).color)), light(ground(e))].sort((a, b) => b - a);
            const contrast = (one + 0.05) / (other + 0.05);
            const name = `${e.tagName}.${e.className} in ${e.parentElement.className}`;
            if (contrast < 4.5) poor.set(name, contrast.toFixed(2));
        }
        return [...poor].map((entry) => entry.join(' '));"""
    poor = {}
    for scheme in ("light", "dark"):
        for shown, state in ((page, ""), (worst, ""), (page, "#view=requirements&q=sigsegv"), (page, "#view=coverage")):
            browser.show(shown, state, scheme=scheme)
            poor[scheme, shown.name, state] = browser.run(measure)
    assert not any(poor.values()), poor


def test_a_narrow_window_scrolls_only_its_tables(browser: Browser, page: Path, runs: list[Result]) -> None:
    found = next(one for one in runs[2].findings if one.verdict == "crash")
    for state in (
        "",
        "#view=requirements&area=tls",
        "#view=coverage",
        f"#case={found.id.replace('[', '%5B')}&on=rloop",
    ):
        browser.show(page, state, width=400)
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")


def test_without_scripts_the_matrix_is_there(browser: Browser, page: Path) -> None:
    browser.show(page, scripts=False)
    rows = [row.text for row in browser.all("noscript table tbody tr")]
    assert any(row.startswith("lifecycle ") and "crash" in row for row in rows)
    assert "could not be run" in browser.text("noscript thead")
    assert not browser.one("#filters").is_displayed()
    assert not browser.one("#theme").is_displayed()
    assert browser.one("noscript table").is_displayed()


def test_hostile_text_is_shown_as_text_and_does_nothing(browser: Browser, tmp_path: Path) -> None:
    hostile = hostile_result()
    path = tmp_path / "hostile.html"
    path.write_text(html.render([hostile, refused_result()], SPEC, title=HOSTILE), encoding="utf-8")
    elements = "return document.querySelectorAll('script, img, iframe, a[href^=http]').length"
    browser.show(path, "#view=requirements&verdict=crash")
    scripts = browser.run(elements)
    button = browser.all("tr.case .opener")[0]
    button.click()
    crashed = next(one for one in hostile.cases if one.verdict == "crash")
    shown = browser.run("return document.querySelector('.panel .message').textContent")
    assert shown == crashed.message
    proof = browser.run("return [...document.querySelectorAll('.panel .block pre')].map((e) => e.textContent)")
    assert proof == [crashed.reproducer, crashed.evidence]
    for view in ("areas", "coverage", "requirements"):
        browser.one(f'[data-view="{view}"]').click()
        assert "<img src=x onerror" in browser.run("return document.body.innerText")
    search(browser, "</script><script>")
    browser.show(path, "#q=%3Cimg%20src%3Dx%20onerror%3Dwindow.hacked%3D3%3E&area=%3Cscript%3E")
    assert browser.one("#search").get_attribute("value").startswith("<img")
    assert browser.run("return window.hacked") is None
    assert browser.run(elements) <= scripts
    assert browser.run("return document.scripts.length") == 4
