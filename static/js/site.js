// Progressive enhancement only: every page works without this file.
(function () {
  "use strict";
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));

  // A form that came back with errors: the summary takes the focus, its links go to the fields.
  const summary = document.querySelector("[data-error-summary]");
  if (summary) {
    summary.focus();
    summary.addEventListener("click", (event) => {
      const link = event.target.closest("a");
      const field = link && document.getElementById(link.hash.slice(1));
      if (!field) return;
      event.preventDefault();
      field.focus({ preventScroll: true });
      field.scrollIntoView({ block: "center" });
    });
  }

  // Double submit: the second press of a button is swallowed. The server checks the form's key as well.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || "resubmit" in form.dataset) return;
    if ("sent" in form.dataset) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "";
    const button = event.submitter;
    if (!button) return;
    button.setAttribute("aria-disabled", "true");
    if (button.dataset.busy) {
      button.dataset.label = button.textContent;
      button.textContent = button.dataset.busy;
    }
  });

  // The page came back from the browser's history: the form may be sent again.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    all("form[data-sent]").forEach((form) => delete form.dataset.sent);
    all("[aria-disabled][type=submit], button[aria-disabled]").forEach((button) => {
      button.removeAttribute("aria-disabled");
      if (button.dataset.label) button.textContent = button.dataset.label;
    });
  });

  // A button that prints the page.
  all("[data-print]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  });

  // Ctrl-K, Cmd-K or a slash outside a field goes to the search box.
  const search = document.querySelector("[data-search]");
  if (search) {
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest("input, textarea, select, [contenteditable]");
      const shortcut = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey);
      const slash = event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey;
      if (!shortcut && !slash) return;
      event.preventDefault();
      search.focus();
      search.select();
    });
  }

  // Long answers: say how many characters are left.
  all("[data-limit]").forEach((area) => {
    const output = document.getElementById(area.id + "-count");
    if (!output) return;
    const count = () => {
      const left = Number(area.dataset.limit) - area.value.length;
      const number = Math.abs(left).toLocaleString(document.documentElement.lang);
      const noun = Math.abs(left) === 1 ? "character" : "characters";
      output.textContent = left < 0 ? `${number} ${noun} too many` : `You have ${number} ${noun} left`;
    };
    area.addEventListener("input", count);
    count();
  });

  // Bulk actions: one box ticks every row, and the bar says how many are ticked.
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (!box.matches("[data-select-all], [data-select]")) return;
    const form = box.form;
    const rows = all("[data-select]", form);
    if (box.matches("[data-select-all]")) rows.forEach((row) => { row.checked = box.checked; });
    const ticked = rows.filter((row) => row.checked).length;
    const head = form.querySelector("[data-select-all]");
    if (head) {
      head.checked = ticked === rows.length;
      head.indeterminate = ticked > 0 && ticked < rows.length;
    }
    const output = form.querySelector("[data-selected]");
    if (output) output.textContent = `${ticked} selected`;
  });

  // Live part of a form (a price that follows the answers): the form is sent to data-live and the
  // answer replaces the element that data-target names. Without script an "Update" button does it.
  let timer, request;
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-live]");
    if (!form) return;
    clearTimeout(timer);
    timer = setTimeout(async () => {
      if (request) request.abort();
      request = new AbortController();
      try {
        const answer = await fetch(form.dataset.live, {
          method: "POST",
          body: new FormData(form),
          headers: { "X-Fragment": "1" },
          signal: request.signal,
        });
        if (answer.ok) document.getElementById(form.dataset.target).innerHTML = await answer.text();
      } catch (error) {
        if (error.name !== "AbortError") throw error;
      }
    }, 250);
  });
})();
