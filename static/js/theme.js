// Bootstrap's own colours follow data-bs-theme. Where the person left the choice to the system,
// this sets it before the first paint and follows later changes. Without it the colours of
// site.css still follow the system, because they use light-dark().
(function () {
  "use strict";
  const root = document.documentElement;
  if (root.dataset.themePref !== "auto") return;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => root.setAttribute("data-bs-theme", dark.matches ? "dark" : "light");
  apply();
  dark.addEventListener("change", apply);
})();
