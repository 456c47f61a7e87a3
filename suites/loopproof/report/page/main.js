// Puts the page together: alerts, filters, views, footer, and the keys that work everywhere.

const byId = (id) => document.getElementById(id);

function renderAlerts() {
  for (const loop of LOOPS) {
    if (loop.complete && !loop.error) continue;
    const lost = CASES.filter((entry) => verdictOf(loop, entry.number) === "m").map((entry) => entry.id);
    byId("alerts").append(h("div", { class: `alert${loop.error ? " error" : ""}` }, icon("error"),
      h("p", null, h("b", null, loop.label), loop.error ? ` could not be run: ${loop.error}`
        : ` is incomplete: ${loop.given.toLocaleString("en")} of ${plural(loop.planned, "planned case")} have a verdict.`,
      loop.running.length > 0 && ` In flight at the end: ${loop.running.join(", ")}.`),
      lost.length > 0 && h("details", null, h("summary", null, `${plural(lost.length, "case")} without a verdict`),
        h("ul", null, lost.map((id) => h("li", null, h("code", null, id)))))));
  }
}

function toggled(set, value) {
  const out = new Set(set);
  if (!out.delete(value)) out.add(value);
  return out;
}

function renderChips() {
  const seen = Object.fromEntries(VERDICTS.map(({ code }) => [code, 0]));
  for (const number of matchingCases({ verdicts: false })) {
    const codes = new Set(loopsInView().map((loop) => verdictOf(loop, number)));
    for (const code of codes) if (code !== ABSENT) seen[code] += 1;
  }
  const focused = document.activeElement?.dataset?.chip;
  byId("verdicts").replaceChildren(...VERDICTS.filter(({ code }) => seen[code] || state.verdicts.has(code) || LOOPS.some((loop) => loop.verdicts.includes(code)))
    .map(({ code, name, says }) => h("button", {
      type: "button", class: `chip ${name}`, title: says, "aria-pressed": String(state.verdicts.has(code)), "aria-disabled": seen[code] ? null : "true",
      data: { chip: name }, on: { click: () => go({ verdicts: toggled(state.verdicts, code) }, { pushed: false }) },
    }, icon(name), name, h("b", null, seen[code].toLocaleString("en")))));
  byId("levels").replaceChildren(...LEVELS.map((level) => h("button", {
    type: "button", class: "chip", "aria-pressed": String(state.levels.has(level)), data: { chip: level },
    on: { click: () => go({ levels: toggled(state.levels, level) }, { pushed: false }) },
  }, level)));
  if (focused) document.querySelector(`[data-chip="${focused}"]`)?.focus();
}

function renderFilters() {
  renderChips();
  if (document.activeElement !== byId("search")) byId("search").value = state.query;
  byId("area").value = String(state.area);
  byId("loop").value = String(state.loop);
  const coverage = state.view === "coverage";
  byId("differs").hidden = coverage || !HAS_CONTROL;
  for (const part of [byId("verdicts"), byId("search").parentElement, byId("loop").parentElement]) part.hidden = coverage;
  byId("differs").setAttribute("aria-pressed", String(state.differs));
  byId("clear").hidden = !filtered();
  for (const tab of document.querySelectorAll("[data-view]")) {
    if (tab.dataset.view === state.view) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
}

function renderOutcome(numbers) {
  const matched = filtered() && state.view !== "coverage";
  byId("outcome").replaceChildren(...(matched ? [`${numbers.length.toLocaleString("en")} of ${plural(CASES.length, "case")} match`] : []));
  if (matched && state.view === "areas" && numbers.length) {
    byId("outcome").append(": ", h("button", { type: "button", on: { click: () => go({ view: "requirements" }) } }, "list them"));
  }
  if (matched && state.view === "requirements" && state.area >= 0 && state.verdicts.size) {
    byId("outcome").append(": ", h("button", { type: "button", on: { click: () => go({ verdicts: new Set() }) } }, `all verdicts of ${AREAS[state.area]}`));
  }
}

function show() {
  const numbers = matchingCases();
  renderFilters();
  renderOutcome(numbers);
  const view = state.view === "coverage" ? renderCoverage() : state.view === "requirements" ? renderList(numbers) : renderMatrix();
  byId("content").replaceChildren(view);
  document.title = `loopproof: ${state.area >= 0 ? `${AREAS[state.area]}, ` : ""}${LOOPS.map((loop) => loop.label).join(", ")}`;
}

function showAddress() {
  readHash();
  show();
  if (state.view === "requirements") revealTarget();
  if (state.view === "areas") restoreFocus();
}

function renderFooter() {
  const machines = [...new Set(LOOPS.map((loop) => [loop.platform, loop.libc].filter(Boolean).join(", ")))];
  byId("footer").append(
    h("dl", null, VERDICTS.map(({ name, says }) => h("div", null, h("dt", { class: name }, icon(name), name), h("dd", null, says)))),
    h("p", null, "A percentage is the passed share of all cases but the skipped, rounded down; cases without a verdict count as not passed. ",
      HAS_CONTROL && "The control is the standard library's loop on the same Python; a ringed symbol marks a finding that the control has too."),
    h("p", null, "Keys: ", h("kbd", null, "/"), " searches, arrow keys move within a table, ", h("kbd", null, "Enter"), " opens, ",
      h("kbd", null, "Esc"), " goes back to the areas."),
    h("p", null, machines.join("; "), ". ", LOOPS.map((loop) => `${loop.label}: ${loop.factory}, ${loop.started}, ${loop.seconds.toFixed(1)} s`).join("; "), "."));
}

function choose(select, none, names, change) {
  select.append(h("option", { value: "-1" }, none), ...names.map((name, place) => h("option", { value: String(place) }, name)));
  select.addEventListener("change", () => go(change(Number(select.value))));
}

function wire() {
  let timer = 0;
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const query = byId("search").value;
      go({ query, view: query.trim() && state.view === "areas" ? "requirements" : state.view, requirement: -1, case: -1, on: -1 }, { pushed: false });
    }, 130);
  });
  choose(byId("area"), "all", AREAS, (area) => ({ area }));
  choose(byId("loop"), "all", LOOPS.map((loop) => loop.label), (loop) => ({ loop }));
  byId("differs").addEventListener("click", () => go({ differs: !state.differs }, { pushed: false }));
  byId("clear").addEventListener("click", () => {
    byId("search").value = "";
    go({ area: -1, loop: -1, verdicts: new Set(), levels: new Set(), query: "", differs: false, requirement: -1, case: -1, on: -1 });
  });
  for (const tab of document.querySelectorAll("[data-view]")) {
    tab.addEventListener("click", () => go({ view: tab.dataset.view, requirement: -1, case: -1, on: -1 }));
  }
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const shown = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    root.dataset.theme = shown === "dark" ? "light" : "dark";
    try { localStorage.setItem("loopproof-theme", root.dataset.theme); } catch { /* no storage for this page */ }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
      event.preventDefault();
      byId("search").focus();
    }
    if (event.key === "Escape" && state.view === "requirements" && event.target.id !== "search") backToMatrix();
  });
  addEventListener("popstate", showAddress);
}

renderAlerts();
renderFooter();
wire();
showAddress();
