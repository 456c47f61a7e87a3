// Chooses light or dark before the first paint: the reader's last choice, else the system's.
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem("loopproof-theme"); } catch { /* no storage for this page */ }
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = chosen === "dark" || chosen === "light" ? chosen : dark ? "dark" : "light";
})();
