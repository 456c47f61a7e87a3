// One case: each loop's verdict, what it said, the evidence, and a script that shows it again.

function preferredLoop(number, on) {
  if (on >= 0) return LOOPS[on];
  if (state.loop >= 0) return LOOPS[state.loop];
  const ranked = [...LOOPS].sort((one, other) =>
    GRAVITY.indexOf(verdictOf(one, number)) - GRAVITY.indexOf(verdictOf(other, number))
    || Number(alsoInControl(one, number)) - Number(alsoInControl(other, number)) || one.number - other.number);
  return ranked[0];
}

function block(title, text, { open, copy = false }) {
  const pre = h("pre", { tabindex: 0 }, text);
  const button = copy && h("button", { type: "button", class: "copy", on: { click: (event) => copyText(text, event.currentTarget) } }, "copy");
  return h("details", { class: "block", open }, h("summary", null, title, h("small", null, plural(text.split("\n").length, "line"))), button, pre);
}

// The command that runs just this case; the expression of -k cannot hold brackets, so parameters are left out.
function commandOf(loop, entry) {
  const name = (entry.id.split("::").pop() ?? "").split("[")[0];
  return `pytest --pyargs loopproof --loop ${loop.factory} -k ${name}`;
}

function findingOf(loop, number) {
  const code = verdictOf(loop, number);
  const entry = CASES[number];
  const [, evidence, reproducer] = loop.details[number] ?? [-1, -1, -1];
  const message = messageOf(loop, number);
  const scripted = longText(reproducer);
  const proof = longText(evidence);
  const control = controlVerdict(loop, number);
  const against = loop.against === null ? null : LOOPS[loop.against];
  const command = commandOf(loop, entry);
  return h("div", { class: "finding-of" },
    h("p", { class: "headline" }, badge(code), h("b", null, loop.label), h("span", { class: "about" }, describeLoop(loop)),
      code !== ABSENT && code !== "m" && code !== "s" && h("span", { class: "about" }, duration(loop.milliseconds[number])),
      alsoInControl(loop, number) && h("span", { class: "tag" }, "also in control"),
      against && control !== ABSENT && control !== code && h("span", { class: "about" }, "control: ", badge(control))),
    message && h("pre", { class: "message" }, message),
    !message && (code === "p" ? h("p", { class: "about" }, "Behaves as required.")
      : code === ABSENT ? h("p", { class: "about" }, "This case was not planned for this run.")
        : code === "m" && h("p", { class: "about" }, loop.running.includes(entry.id)
          ? "This case was running when the run ended." : "The run ended before this case.")),
    scripted && block("reproducer", scripted, { open: scripted.length < 6000, copy: true }),
    proof && block("evidence", proof, { open: !scripted || proof.length < 4000, copy: true }),
    FINDING.has(code) && h("p", { class: "command" }, h("code", null, command),
      h("button", { type: "button", class: "copy", on: { click: (event) => copyText(command, event.currentTarget) } }, "copy")));
}

function renderDetail(number, requirement, on) {
  const entry = CASES[number];
  const panel = h("div", { class: "panel", role: "tabpanel", tabindex: -1 });
  const tabs = LOOPS.map((loop) => h("button", {
    type: "button", role: "tab", "aria-selected": "false", on: { click: () => pick(loop, true) },
  }, badge(verdictOf(loop, number), loop.label), alsoInControl(loop, number) && h("span", { class: "tag", title: "also in control" }, "also in control"),
  loop.stock && h("span", { class: "tag" }, "control")));
  const pick = (loop, chosen) => {
    tabs.forEach((tab, place) => {
      tab.setAttribute("aria-selected", String(place === loop.number));
      tab.tabIndex = place === loop.number ? 0 : -1;
    });
    panel.setAttribute("aria-label", `${entry.id}, ${loop.label}`);
    panel.replaceChildren(findingOf(loop, number));
    if (chosen) note({ requirement, case: number, on: loop.number });
  };
  const move = (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    const place = tabs.indexOf(document.activeElement);
    if (!step || place < 0) return;
    event.preventDefault();
    event.stopPropagation();
    const next = (place + step + tabs.length) % tabs.length;
    tabs[next].focus();
    pick(LOOPS[next], true);
  };
  const others = entry.requirements.filter((other) => other !== requirement).map((other) => REQUIREMENTS[other].id);
  const empty = { view: "requirements", area: -1, loop: -1, verdicts: new Set(), levels: new Set(), query: "", differs: false, requirement, case: number, on: -1 };
  const result = h("div", { class: "detail" },
    h("p", { class: "detail-head" }, h("code", null, entry.id), h("a", { href: hashOf(empty), title: "Link to this case" }, icon("link"), "link"),
      others.length > 0 && h("span", { class: "about" }, `also proves ${others.join(", ")}`)),
    h("div", { class: "columns" }, h("div", { class: "tablist", role: "tablist", "aria-orientation": "vertical", "aria-label": "Loops", on: { keydown: move } }, tabs), panel));
  pick(preferredLoop(number, on), false);
  return result;
}
