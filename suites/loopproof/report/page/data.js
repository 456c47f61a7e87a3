// The data of the page and what follows from it: verdicts, indexes, which findings the control has too.

const VERDICTS = [
  { code: "p", name: "pass", says: "behaves as required" },
  { code: "f", name: "fail", says: "does not behave as required" },
  { code: "c", name: "crash", says: "the process died" },
  { code: "h", name: "hang", says: "no end within the deadline" },
  { code: "l", name: "leak", says: "left descriptors, threads, children or warnings behind" },
  { code: "d", name: "deviation", says: "known or contested, not held against the loop" },
  { code: "x", name: "fixed", says: "passes, though a known deviation said otherwise" },
  { code: "s", name: "skip", says: "could not apply here, for the reason given" },
  { code: "m", name: "missing", says: "planned, but the run ended before it" },
];
const VERDICT = Object.fromEntries(VERDICTS.map((verdict) => [verdict.code, verdict]));
const NAMED = Object.fromEntries(VERDICTS.map((verdict) => [verdict.name, verdict.code]));
const ABSENT = ".";
const GRAVITY = "chflmxdps.";
const FINDING = new Set(["c", "h", "f", "l"]);
const LEVELS = ["must", "should", "may"];

const DATA = JSON.parse(document.getElementById("data").textContent);
const LOOPS = DATA.loops;
const CASES = DATA.cases;
const AREAS = DATA.areas;
const NO_REQUIREMENT = { id: "", area: "", level: "", text: "Cases of runs that ended before their requirement was known." };
const REQUIREMENTS = [...DATA.requirements, NO_REQUIREMENT];

const casesOf = REQUIREMENTS.map(() => []);
const casesIn = AREAS.map(() => []);
CASES.forEach((entry, number) => {
  entry.number = number;
  casesIn[entry.area].push(number);
  if (!entry.requirements.length) entry.requirements = [REQUIREMENTS.length - 1];
  for (const requirement of entry.requirements) casesOf[requirement].push(number);
});
const caseNumbered = new Map(CASES.map((entry) => [entry.id, entry.number]));
const requirementNumbered = new Map(REQUIREMENTS.map((requirement, number) => [requirement.id, number]));
const loopLabelled = new Map(LOOPS.map((loop, number) => [loop.label, number]));
LOOPS.forEach((loop, number) => { loop.number = number; });
const HAS_CONTROL = LOOPS.some((loop) => loop.against !== null);

function verdictOf(loop, number) {
  return loop.verdicts[number];
}

function controlVerdict(loop, number) {
  return loop.against === null ? ABSENT : LOOPS[loop.against].verdicts[number];
}

// A finding of the loop that its control, the stock loop of the same Python, has too.
function alsoInControl(loop, number) {
  return FINDING.has(verdictOf(loop, number)) && FINDING.has(controlVerdict(loop, number));
}

// Whether both have a verdict, and not the same.
function differsFromControl(loop, number) {
  const [own, control] = [verdictOf(loop, number), controlVerdict(loop, number)];
  return own !== control && ![own, control].some((code) => code === ABSENT || code === "m");
}

function messageOf(loop, number) {
  const detail = loop.details[number];
  return detail && detail[0] >= 0 ? DATA.messages[detail[0]] : "";
}

let parsedTexts = null;

// Evidence and reproducers are parsed when the first one is looked at.
function longText(index) {
  if (index < 0) return "";
  parsedTexts ??= JSON.parse(document.getElementById("texts").textContent);
  return parsedTexts.texts[index].map((line) => parsedTexts.lines[line]).join("\n");
}

function worstOf(codes) {
  let worst = ABSENT;
  for (const code of codes) if (GRAVITY.indexOf(code) < GRAVITY.indexOf(worst)) worst = code;
  return worst;
}

// Counts by verdict of one loop over some cases. `pick` tells which of them count.
function tallyOf(loop, numbers, pick) {
  const counts = { c: 0, h: 0, f: 0, l: 0, m: 0, x: 0, d: 0, p: 0, s: 0, ".": 0 };
  let shared = 0;
  for (const number of numbers) {
    if (pick && !pick(loop, number)) continue;
    const code = verdictOf(loop, number);
    counts[code] += 1;
    if (FINDING.has(code) && FINDING.has(controlVerdict(loop, number))) shared += 1;
  }
  const findings = counts.c + counts.h + counts.f + counts.l;
  const passed = counts.p + counts.x;
  const applicable = passed + findings + counts.d + counts.m;
  const status = findings ? "finding" : counts.m ? "missing" : counts.d ? "deviation" : passed ? "pass" : counts.s ? "skip" : "absent";
  return { counts, findings, shared, passed, applicable, status, percent: applicable ? Math.floor((passed * 100) / applicable) : null };
}
