// Arrow keys within a table: every row's buttons form a line, and the nearest column of the next line is taken.

function rowsOf(table) {
  return [...table.querySelectorAll("tr")].filter((row) => row.offsetParent !== null && row.querySelector("[data-column]"));
}

function stopsOf(row) {
  return [...row.querySelectorAll("[data-column]")];
}

function nearest(row, column) {
  const stops = stopsOf(row);
  return stops.find((stop) => Number(stop.dataset.column) === column)
    ?? stops.reduce((best, stop) => (Number(stop.dataset.column) <= column ? stop : best), stops[0]);
}

function moveByArrow(event) {
  const from = event.target.closest?.("[data-column]");
  if (!from || event.altKey || event.ctrlKey || event.metaKey) return;
  const row = from.closest("tr");
  const stops = stopsOf(row);
  const column = Number(from.dataset.column);
  const rows = rowsOf(event.currentTarget);
  const place = rows.indexOf(row);
  const steps = {
    ArrowRight: () => stops[stops.indexOf(from) + 1],
    ArrowLeft: () => stops[stops.indexOf(from) - 1],
    ArrowDown: () => rows[place + 1] && nearest(rows[place + 1], column),
    ArrowUp: () => rows[place - 1] && nearest(rows[place - 1], column),
    Home: () => stops[0],
    End: () => stops[stops.length - 1],
  };
  const target = steps[event.key]?.();
  if (!target) return;
  event.preventDefault();
  target.focus();
  target.scrollIntoView({ block: "nearest", inline: "nearest" });
}
