// The list: areas, their requirements, and under each the cases with a verdict a loop. Rows are made as they are reached.

const CHUNK = 40;
const opened = { requirements: new Set(), cases: new Set(), all: false };
let list = null;

// One entry an area heading or a requirement with its matching cases, in the order of the specification.
function listItems(numbers) {
  const matching = new Set(numbers);
  const byArea = new Map(AREAS.map((name) => [name, []]));
  REQUIREMENTS.forEach((requirement, place) => {
    const cases = casesOf[place].filter((number) => matching.has(number));
    if (!cases.length) return;
    if (!byArea.has(requirement.area)) byArea.set(requirement.area, []);
    byArea.get(requirement.area).push({ requirement: place, cases });
  });
  return [...byArea].flatMap(([area, entries]) => (entries.length ? [{ area, entries }, ...entries] : []));
}

function cellButton(loop, code, words, shared, text, click) {
  const name = code === ABSENT ? "absent" : VERDICT[code].name;
  const button = h("button", {
    type: "button", tabindex: -1, title: words, "aria-label": words, class: `${name}${shared ? " shared" : ""}`,
    data: { column: loop.number + 1, name: loop.label }, on: { click },
  }, icon(name), text && h("small", null, text));
  return h("td", { class: `mini${loop.number === state.loop ? " chosen" : ""}`, }, button);
}

function requirementCells(item, open) {
  return LOOPS.map((loop) => {
    const tally = tallyOf(loop, item.cases);
    const code = worstOf(item.cases.map((number) => verdictOf(loop, number)));
    const found = item.cases.filter((number) => FINDING.has(verdictOf(loop, number)));
    const shared = found.length > 0 && found.every((number) => alsoInControl(loop, number));
    const several = item.cases.length > 1 && tally.findings > 0 ? `${tally.findings}` : "";
    const words = `${loop.label}: ${code === ABSENT ? "not run" : VERDICT[code].name}${shared ? ", also in control" : ""}; `
      + `${tally.passed} of ${plural(item.cases.length, "case")} pass`;
    return cellButton(loop, code, words, shared, several, () => {
      open(true);
      const worst = item.cases.find((number) => verdictOf(loop, number) === code);
      list.caseRows.get(`${item.requirement}/${worst}`)?.open(true, loop.number);
    });
  });
}

function sourceOf(requirement) {
  if (!requirement.url) return h("code", null, requirement.source);
  return h("a", { href: requirement.url, target: "_blank", rel: "noopener noreferrer" }, requirement.source);
}

function span({ since, until, not_in: notIn }) {
  return `≥ ${since}${until ? `, ≤ ${until}` : ""}${notIn ? `, not ${notIn}` : ""}`;
}

function aboutRequirement(requirement) {
  const facts = [
    ["API", requirement.api && h("code", null, requirement.api)],
    ["basis", requirement.basis],
    ["source", requirement.source && sourceOf(requirement)],
    ["Python", requirement.since && span(requirement)],
    ["platforms", requirement.platforms?.join(", ")],
    ["note", requirement.note],
  ].filter(([, value]) => value);
  return h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

function requirementRows(item) {
  const requirement = REQUIREMENTS[item.requirement];
  let rows = null;
  const button = h("button", { type: "button", class: "opener", "aria-expanded": "false", data: { column: 0 } },
    h("span", { class: "chevron" }, icon("open")),
    h("span", { class: "what" },
      h("span", { class: "key" }, h("code", null, requirement.id || "no requirement"),
        requirement.level && h("span", { class: `level ${requirement.level}` }, requirement.level),
        requirement.basis === "contested" && h("span", { class: "level contested" }, "contested")),
      h("span", { class: "text" }, requirement.text)));
  const open = (wanted, { quiet = false } = {}) => {
    const is = button.getAttribute("aria-expanded") === "true";
    if (wanted === is) return;
    button.setAttribute("aria-expanded", String(wanted));
    if (!wanted) {
      rows.forEach((row) => row.remove());
      opened.requirements.delete(item.requirement);
      item.cases.forEach((number) => opened.cases.delete(`${item.requirement}/${number}`));
      if (!quiet) note({ requirement: -1, case: -1, on: -1 });
      return;
    }
    opened.requirements.add(item.requirement);
    rows = [h("tr", { class: "about-row" }, h("td", { colspan: LOOPS.length + 1 }, aboutRequirement(requirement)))];
    row.after(rows[0]);
    for (const number of item.cases) {
      const entry = caseRow(item.requirement, number, rows);
      rows[rows.length - 1].after(entry);
      rows.push(entry);
    }
    if (!quiet) note({ requirement: item.requirement, case: -1, on: -1 });
  };
  button.addEventListener("click", () => open(button.getAttribute("aria-expanded") !== "true"));
  const row = h("tr", { class: "requirement" }, h("th", { scope: "row" }, button), requirementCells(item, open));
  list.requirementRows.set(item.requirement, { row, button, open });
  return row;
}

function caseRow(requirement, number, siblings) {
  const entry = CASES[number];
  const key = `${requirement}/${number}`;
  const [path, name] = [entry.id.split("::")[0], entry.id.split("::").slice(1).join("::") || entry.id];
  const button = h("button", { type: "button", class: "opener", "aria-expanded": "false", data: { column: 0 } },
    h("span", { class: "chevron" }, icon("open")),
    h("span", { class: "what" }, h("code", { class: "case-name" }, name), h("span", { class: "path" }, path)));
  let detail = null;
  const open = (wanted, on = -1, { quiet = false } = {}) => {
    if (detail) {
      siblings.splice(siblings.indexOf(detail), 1);
      detail.remove();
      detail = null;
    }
    button.setAttribute("aria-expanded", String(wanted));
    if (!wanted) {
      opened.cases.delete(key);
      if (!quiet) note({ requirement, case: -1, on: -1 });
      return;
    }
    opened.cases.add(key);
    detail = h("tr", { class: "detail-row" }, h("td", { colspan: LOOPS.length + 1 }, renderDetail(number, requirement, on)));
    row.after(detail);
    siblings.splice(siblings.indexOf(row) + 1, 0, detail);
    if (!quiet) note({ requirement, case: number, on });
  };
  button.addEventListener("click", () => open(button.getAttribute("aria-expanded") !== "true"));
  const cells = LOOPS.map((loop) => {
    const code = verdictOf(loop, number);
    const shared = alsoInControl(loop, number);
    const words = `${loop.label}: ${code === ABSENT ? "not run" : VERDICT[code].name}${shared ? ", also in control" : ""}`;
    return cellButton(loop, code, words, shared, "", () => open(true, loop.number));
  });
  const row = h("tr", { class: "case" }, h("th", { scope: "row" }, button), cells);
  list.caseRows.set(key, { row, button, open });
  return row;
}

function areaRow(item) {
  const numbers = [...new Set(item.entries.flatMap((entry) => entry.cases))];
  return h("tr", { class: "area-row" }, h("th", { scope: "rowgroup", colspan: LOOPS.length + 1 },
    h("span", { class: "area-name" }, item.area || "without a requirement"),
    h("small", null, `${plural(item.entries.length, "requirement")}, ${plural(numbers.length, "case")}`)));
}

// Makes the next rows; where the filters name verdicts or words, their requirements come opened.
function makeMore(upTo = list.made + CHUNK) {
  const telling = opened.all || state.verdicts.size || state.query.trim() || state.differs;
  const before = list.made;
  const fresh = list.items.slice(before, Math.max(upTo, before));
  list.made = before + fresh.length;
  for (const item of fresh) {
    list.body.append("entries" in item ? areaRow(item) : requirementRows(item));
    if (!("entries" in item) && (telling || opened.requirements.has(item.requirement))) {
      list.requirementRows.get(item.requirement).open(true, { quiet: true });
    }
  }
  list.more.hidden = list.made >= list.items.length;
}

function renderList(numbers) {
  const items = listItems(numbers);
  const heads = LOOPS.map((loop) => h("th", { scope: "col", class: `mini${loop.complete ? "" : " broken"}`, title: `${loop.label}, ${describeLoop(loop)}` },
    h("div", { class: "name" }, loop.label), loop.stock && h("span", { class: "tag" }, "control"),
    !loop.complete && h("span", { class: "tag broken" }, loop.error ? "no run" : "incomplete")));
  const every = h("button", { type: "button", class: "quiet", on: { click: () => { opened.all = !opened.all; if (!opened.all) opened.requirements.clear(); show(); } } },
    opened.all ? "close all" : "open all");
  const body = h("tbody", null);
  const table = h("table", { class: "list", on: { keydown: moveByArrow } },
    h("caption", { class: "hidden" }, "Requirements and cases. Enter opens, arrow keys move."),
    h("thead", null, h("tr", null, h("th", { scope: "col", class: "corner" }, h("span", { class: "about" }, "requirement, case"), every), heads)), body);
  const more = h("button", { type: "button", class: "more", on: { click: () => makeMore() } }, "show more");
  list = { items, body, more, made: 0, requirementRows: new Map(), caseRows: new Map() };
  makeMore();
  const watcher = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && more.isConnected && !more.hidden) {
      makeMore();
      watcher.unobserve(more);
      watcher.observe(more);
    }
  }, { rootMargin: "600px" });
  watcher.observe(more);
  if (!items.length) body.append(h("tr", null, h("td", { class: "empty", colspan: LOOPS.length + 1 }, "Nothing matches these filters.")));
  return h("div", { class: "list-holder" }, table, more);
}

// Shows the requirement and case that the address names.
function revealTarget() {
  if (state.requirement < 0) return;
  const place = list.items.findIndex((item) => item.requirement === state.requirement);
  if (place < 0) return;
  if (place >= list.made) makeMore(place + 10);
  const target = list.requirementRows.get(state.requirement);
  target.open(true, { quiet: true });
  const inner = list.caseRows.get(`${state.requirement}/${state.case}`);
  inner?.open(true, state.on, { quiet: true });
  target.row.scrollIntoView({ block: "start" });
  if (inner && inner.row.getBoundingClientRect().top > innerHeight / 2) inner.row.scrollIntoView({ block: "start" });
  (inner ?? target).button.focus({ preventScroll: true });
}

function focusFirst() {
  document.querySelector(".list tbody [data-column]")?.focus({ preventScroll: true });
}
