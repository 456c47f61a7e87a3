// Which cases the filters let through.

const lowered = { cases: null, requirements: null, messages: null };

function searchable() {
  if (lowered.cases) return;
  lowered.cases = CASES.map((entry) => entry.id.toLowerCase());
  lowered.requirements = REQUIREMENTS.map((entry) => `${entry.id} ${entry.api} ${entry.text}`.toLowerCase());
  lowered.messages = DATA.messages.map((message) => message.toLowerCase());
}

// Every word of the query must be in the case's id, one of its requirements, or a message of a loop in view.
function matchesQuery(entry, words) {
  return words.every((word) => lowered.cases[entry.number].includes(word)
    || entry.requirements.some((requirement) => lowered.requirements[requirement].includes(word))
    || loopsInView().some((loop) => {
      const detail = loop.details[entry.number];
      return detail && detail[0] >= 0 && lowered.messages[detail[0]].includes(word);
    }));
}

function loopsInView() {
  return state.loop >= 0 ? [LOOPS[state.loop]] : LOOPS;
}

// Whether one loop's verdict on a case passes the filters on verdicts and on the difference to the control.
function verdictMatches(loop, number) {
  return (!state.verdicts.size || state.verdicts.has(verdictOf(loop, number)))
    && (!state.differs || differsFromControl(loop, number));
}

function levelMatches(entry) {
  return !state.levels.size || state.levels.has(LEVELS[entry.level]);
}

function filtered() {
  return Boolean(state.query.trim() || state.verdicts.size || state.levels.size || state.differs || state.area >= 0 || state.loop >= 0);
}

// The numbers of the cases that pass all filters; `verdicts: false` leaves those on verdicts to the caller.
function matchingCases({ verdicts = true, area = true } = {}) {
  const words = state.query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length) searchable();
  const byVerdict = verdicts && (state.verdicts.size || state.differs);
  const out = [];
  for (const entry of CASES) {
    if (area && state.area >= 0 && entry.area !== state.area) continue;
    if (!levelMatches(entry)) continue;
    if (words.length && !matchesQuery(entry, words)) continue;
    if (byVerdict && !loopsInView().some((loop) => verdictMatches(loop, entry.number))) continue;
    out.push(entry.number);
  }
  return out;
}
