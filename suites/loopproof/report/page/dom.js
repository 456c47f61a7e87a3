// Makes elements. Text only ever enters the page as text nodes.

function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "on") for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat()) if (child !== null && child !== undefined && child !== false) element.append(child);
  return element;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

function plural(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

function duration(milliseconds) {
  if (milliseconds < 1) return "< 1 ms";
  return milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

// Symbol and name of a verdict, in its colour.
function badge(code, text) {
  const name = code === ABSENT ? "absent" : VERDICT[code].name;
  return h("span", { class: `badge ${name}` }, icon(name), text ?? (code === ABSENT ? "not run" : name));
}

// Shows the mix of verdicts as a thin bar.
function bar(tally) {
  const parts = [
    ["pass", tally.passed], ["deviation", tally.counts.d], ["finding", tally.findings],
    ["missing", tally.counts.m], ["skip", tally.counts.s],
  ];
  const strip = h("span", { class: "bar", "aria-hidden": "true" });
  for (const [name, number] of parts) {
    if (!number) continue;
    const part = h("i", { class: name });
    part.style.flexGrow = number;
    strip.append(part);
  }
  return strip;
}

async function copyText(text, button) {
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch {
    const area = h("textarea", { class: "hidden" });
    area.value = text;
    document.body.append(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
  }
  const before = button.dataset.label ?? button.textContent;
  button.dataset.label = before;
  button.textContent = done ? "copied" : "select and copy by hand";
  setTimeout(() => { button.textContent = before; }, 1600);
}
