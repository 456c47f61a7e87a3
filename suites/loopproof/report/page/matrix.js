// The matrix: loops across, areas down; each cell says how the loop fares in the area and opens it.

const FINDING_CODES = ["c", "h", "f", "l"];

function describeLoop(loop) {
  return [loop.version, `Python ${loop.python}`].filter(Boolean).join(" · ");
}

function standing(loop, tally) {
  if (loop.error) return ["error", "could not be run"];
  if (!loop.complete) return ["error", `incomplete: ${loop.given.toLocaleString("en")} of ${loop.planned.toLocaleString("en")}`];
  if (tally.findings) return ["finding", plural(tally.findings, "finding")];
  if (loop.conforms) return ["pass", "conforms"];
  return ["skip", tally.passed ? "nothing found" : "nothing ran"];
}

function loopHeader(loop) {
  const tally = tallyOf(loop, CASES.keys());
  const [status, words] = standing(loop, tally);
  const whole = loop.complete && !loop.error;
  return h("th", { scope: "col", class: `loop${whole ? "" : " broken"}` },
    h("div", { class: "name" }, loop.label, loop.stock && [" ", h("span", { class: "tag" }, "control")]),
    h("div", { class: "about" }, describeLoop(loop)),
    h("div", { class: `standing ${status}` }, icon(status === "finding" ? "fail" : status), words),
    tally.shared > 0 && h("div", { class: "about" }, `${tally.shared} also in control`),
    !whole && tally.findings > 0 && h("div", { class: "about finding" }, plural(tally.findings, "finding"), " so far"),
    bar(tally));
}

function cellWords(loop, area, tally) {
  const found = FINDING_CODES.filter((code) => tally.counts[code]).map((code) => `${tally.counts[code]} ${VERDICT[code].name}`);
  const rest = [
    tally.shared && `${tally.shared} of them also in control`, tally.counts.d && plural(tally.counts.d, "deviation"),
    tally.counts.m && `${tally.counts.m} without a verdict`, tally.counts.s && `${tally.counts.s} skipped`,
  ].filter(Boolean);
  const rate = tally.percent === null ? "nothing applied" : `${tally.percent} %: ${tally.passed} of ${tally.applicable} pass`;
  return `${loop.label}, ${area}: ${[rate, ...found, ...rest].join(", ")}`;
}

function matrixCell(loop, areaNumber, numbers) {
  const area = areaNumber < 0 ? "all areas" : AREAS[areaNumber];
  const narrowed = state.verdicts.size || state.differs;
  const whole = tallyOf(loop, numbers);
  const tally = narrowed ? tallyOf(loop, numbers, verdictMatches) : whole;
  const matched = Object.values(tally.counts).reduce((sum, number) => sum + number, 0) - tally.counts[ABSENT];
  const known = whole.applicable + whole.counts.s;
  if (!known || (narrowed && !matched)) {
    return h("td", { class: `cell absent${loop.error ? " unrun" : ""}` }, known ? h("span", { class: "nothing" }, "0") : icon("absent"),
      h("span", { class: "hidden" }, `${loop.label}, ${area}: ${known ? "no such case" : "not run"}`));
  }
  const only = FINDING_CODES.filter((code) => tally.counts[code]);
  const look = only.length ? VERDICT[only[0]].name : tally.status;
  const words = cellWords(loop, area, tally);
  const button = h("button", {
    type: "button", title: words, "aria-label": words,
    data: { column: loop.number + 1, area: areaNumber, loop: loop.number },
    on: { click: () => openArea(areaNumber, loop.number, only.length > 0 && !narrowed) },
  },
  h("span", { class: "rate" }, icon(look),
    h("b", null, narrowed ? matched : tally.percent === null ? "–" : `${tally.percent}%`),
    !narrowed && tally.percent !== null && h("small", null, `${tally.passed}/${tally.applicable}`)),
  h("span", { class: "finds" }, only.map((code) => h("span", { class: VERDICT[code].name }, icon(VERDICT[code].name), tally.counts[code]))),
  bar(tally));
  const cell = h("td", { class: `cell ${look}${only.length ? " found" : ""}${loop.number === state.loop ? " chosen" : ""}` }, button);
  if (only.length) cell.style.setProperty("--share", `${Math.round(12 + (60 * tally.findings) / tally.applicable)}%`);
  return cell;
}

// From a cell with findings to these findings; from any other to all cases of the area.
function openArea(area, loop, onlyFindings) {
  const verdicts = onlyFindings ? new Set(FINDING_CODES.filter((code) => LOOPS[loop].verdicts.includes(code))) : state.verdicts;
  leftFrom = { area, loop, before: { area: state.area, loop: state.loop, verdicts: state.verdicts } };
  go({ view: "requirements", area, loop, verdicts, requirement: -1, case: -1, on: -1 });
  focusFirst();
}

let leftFrom = null;

function renderMatrix() {
  const passing = new Set(matchingCases({ verdicts: false, area: false }));
  const head = h("thead", null, h("tr", null, h("th", { scope: "col", class: "corner" },
    h("div", { class: "about" }, plural(CASES.length, "case"))), LOOPS.map(loopHeader)));
  const body = h("tbody", null);
  const line = (areaNumber, numbers, name) => h("tr", { class: areaNumber < 0 ? "sum" : "" },
    h("th", { scope: "row" }, h("button", {
      type: "button", data: { column: 0, area: areaNumber, loop: -1 }, on: { click: () => openArea(areaNumber, -1, false) },
    }, h("span", null, name), h("small", null, numbers.length.toLocaleString("en")))),
    LOOPS.map((loop) => matrixCell(loop, areaNumber, numbers)));
  if (state.area < 0) body.append(line(-1, [...passing], "all areas"));
  AREAS.forEach((name, areaNumber) => {
    if (state.area >= 0 && areaNumber !== state.area) return;
    const numbers = casesIn[areaNumber].filter((number) => passing.has(number));
    if (numbers.length) body.append(line(areaNumber, numbers, name));
  });
  const table = h("table", { class: "matrix", on: { keydown: moveByArrow } },
    h("caption", { class: "hidden" }, "How each loop fares in each area. Arrow keys move, Enter opens."), head, body);
  for (const stop of table.querySelectorAll("td [data-column]")) stop.tabIndex = -1;
  return h("div", { class: "scroller" }, table);
}

// Coming back to the matrix, the keyboard is where it left.
function restoreFocus() {
  if (!leftFrom) return;
  const { area, loop } = leftFrom;
  document.querySelector(`.matrix [data-area="${area}"][data-loop="${loop}"]`)?.focus();
  leftFrom = null;
}

// Undoes what opening a cell did.
function backToMatrix() {
  go({ view: "areas", requirement: -1, case: -1, on: -1, ...leftFrom?.before });
  restoreFocus();
}
