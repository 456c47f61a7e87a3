// Before the first paint: the reader's last choice of light or dark, and that scripts run.
(() => {
  document.documentElement.dataset.live = "";
  try {
    const chosen = localStorage.getItem("loopproof-theme");
    if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
  } catch { /* no storage for this page */ }
})();
