// Coverage: which requirements no case of these runs is about.

function coverageOf(area) {
  const own = REQUIREMENTS.map((requirement, place) => ({ requirement, place })).filter(({ requirement }) => requirement.id && requirement.area === area);
  const chosen = state.levels.size ? own.filter(({ requirement }) => state.levels.has(requirement.level)) : own;
  return { own: chosen, without: chosen.filter(({ place }) => !casesOf[place].length).map(({ requirement }) => requirement) };
}

function coverageRow(name, own, without) {
  const covered = own.length - without.length;
  const share = (level) => {
    const all = own.filter(({ requirement }) => requirement.level === level).length;
    const open = without.filter((requirement) => requirement.level === level).length;
    return h("td", { class: "number" }, all ? [h("b", null, all - open), h("small", null, ` / ${all}`)] : h("span", { class: "nothing" }, "–"));
  };
  const strip = h("span", { class: "bar", "aria-hidden": "true" });
  for (const [kind, number] of [["pass", covered], ["skip", without.length]]) {
    const part = h("i", { class: kind });
    part.style.flexGrow = number;
    if (number) strip.append(part);
  }
  const missing = !without.length ? h("span", { class: "badge pass" }, icon("pass"), "all covered")
    : h("details", null, h("summary", null, `${plural(without.length, "requirement")} without a case`),
      h("ul", { class: "uncovered" }, without.map((requirement) => h("li", null, h("code", null, requirement.id),
        h("span", { class: `level ${requirement.level}` }, requirement.level), " ", requirement.text))));
  return h("tr", null, h("th", { scope: "row" }, name),
    h("td", { class: "number" }, h("b", null, own.length ? `${Math.floor((covered * 100) / own.length)}%` : "–")),
    h("td", { class: "strip" }, strip), LEVELS.map(share), h("td", { class: "gaps" }, missing));
}

function renderCoverage() {
  const areas = state.area >= 0 ? [AREAS[state.area]] : AREAS;
  const rows = areas.map((name) => ({ name, ...coverageOf(name) })).filter((row) => row.own.length);
  const own = rows.flatMap((row) => row.own);
  const without = rows.flatMap((row) => row.without);
  return h("div", { class: "scroller" }, h("table", { class: "coverage" },
    h("caption", null, `${plural(own.length - without.length, "requirement")} of ${own.length} have a case in these runs.`),
    h("thead", null, h("tr", null, ["area", "covered", "", ...LEVELS, "open"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", null, rows.map((row) => coverageRow(row.name, row.own, row.without)))));
}
