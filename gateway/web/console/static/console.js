// Keys and copying. Every page works without this file.
(() => {
  "use strict";
  const rows = () => [...document.querySelectorAll("tr[data-row]")];
  const typing = (target) => target.closest("input, select, textarea, [contenteditable]");

  const move = (by) => {
    const all = rows();
    if (!all.length) return;
    const at = all.findIndex((row) => row.classList.contains("current"));
    const next = all[Math.max(0, Math.min(all.length - 1, at < 0 ? 0 : at + by))];
    all.forEach((row) => row.classList.toggle("current", row === next));
    const link = next.querySelector("a[href], button, summary");
    if (link) link.focus();
    next.scrollIntoView({ block: "nearest" });
  };

  const KEYS = {
    "/": () => document.querySelector("#search")?.focus(),
    j: () => move(1),
    k: () => move(-1),
    r: () => location.reload(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const act = KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  const prepare = (root) => {
    for (const button of root.querySelectorAll("button[data-copy][hidden]")) {
      button.hidden = false;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(button.dataset.copy);
        button.textContent = "Copied";
      });
    }
  };
  prepare(document);
  document.addEventListener("htmx:afterSwap", (event) => prepare(event.target));

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.ask;
    if (question && !window.confirm(question)) event.preventDefault();
  });
})();
