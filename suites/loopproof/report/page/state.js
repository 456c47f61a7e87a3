// What the reader looks at; it lives in the address (after #), so that every view is a link.

const state = {
  view: "areas", area: -1, loop: -1, verdicts: new Set(), levels: new Set(), query: "", differs: false,
  requirement: -1, case: -1, on: -1,
};

function readHash() {
  const given = new URLSearchParams(location.hash.replace(/^#/, ""));
  const find = (map, key) => (given.has(key) ? map.get(given.get(key)) ?? -1 : -1);
  const several = (key, known) => new Set((given.get(key) ?? "").split(",").filter((entry) => known.includes(entry)));
  state.case = find(caseNumbered, "case");
  state.requirement = find(requirementNumbered, "requirement");
  if (state.case >= 0 && state.requirement < 0) state.requirement = CASES[state.case].requirements[0];
  const asked = given.get("view");
  const fallback = state.requirement >= 0 ? "requirements" : "areas";
  state.view = ["areas", "requirements", "coverage"].includes(asked) ? asked : fallback;
  state.area = AREAS.indexOf(given.get("area") ?? "");
  state.loop = find(loopLabelled, "loop");
  state.on = find(loopLabelled, "on");
  state.verdicts = new Set([...several("verdict", Object.keys(NAMED))].map((name) => NAMED[name]));
  state.levels = several("level", LEVELS);
  state.query = given.get("q") ?? "";
  state.differs = given.get("differs") === "1" && HAS_CONTROL;
}

function hashOf(view) {
  const out = new URLSearchParams();
  if (view.view !== "areas") out.set("view", view.view);
  if (view.area >= 0) out.set("area", AREAS[view.area]);
  if (view.loop >= 0) out.set("loop", LOOPS[view.loop].label);
  if (view.verdicts.size) out.set("verdict", [...view.verdicts].map((code) => VERDICT[code].name).join(","));
  if (view.levels.size) out.set("level", [...view.levels].join(","));
  if (view.query) out.set("q", view.query);
  if (view.differs) out.set("differs", "1");
  if (view.requirement >= 0) out.set("requirement", REQUIREMENTS[view.requirement].id);
  if (view.case >= 0) out.set("case", CASES[view.case].id);
  if (view.on >= 0) out.set("on", LOOPS[view.on].label);
  return `#${out}`;
}

// Changes what is shown. A step that the Back button should undo is `pushed`.
function go(changes, { pushed = true } = {}) {
  Object.assign(state, changes);
  const hash = hashOf(state);
  if (hash !== (location.hash || "#")) {
    if (pushed) history.pushState(null, "", hash);
    else history.replaceState(null, "", hash);
  }
  show();
}

// Notes what is open without showing everything anew.
function note(changes) {
  Object.assign(state, changes);
  history.replaceState(null, "", hashOf(state));
}
