// Small helps on top of pages that work without a script.
"use strict";

// A button with data-copy copies that text, and says so.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  navigator.clipboard.writeText(button.dataset.copy).then(() => {
    const text = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = text), 2000);
  });
});

// Buttons that only work with a script are hidden in the page until here.
for (const element of document.querySelectorAll("[data-copy][hidden], [data-check-all][hidden]")) {
  element.hidden = false;
}

// A box with data-check-all checks every box of its form that has this name.
document.addEventListener("change", (event) => {
  const all = event.target.closest("[data-check-all]");
  if (!all) return;
  for (const box of all.form.querySelectorAll(`input[type=checkbox][name="${all.dataset.checkAll}"]`)) {
    box.checked = all.checked;
  }
});

// A part with data-refresh="seconds" is replaced by its newer self while the page is visible. The server says when it ends:
// the newer part has no such attribute. It is read from the page itself, or from data-from.
function refresh(part) {
  setTimeout(async () => {
    if (document.visibilityState === "visible" && !part.contains(document.activeElement)) {
      const answer = await fetch(part.dataset.from || location.href, { headers: { accept: "text/html" } }).catch(() => null);
      if (answer && answer.ok && !answer.redirected) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const newer = page.getElementById(part.id);
        if (newer) {
          part.replaceWith(newer);
          part = newer;
        }
      }
    }
    if (part.dataset.refresh) refresh(part);
  }, Number(part.dataset.refresh) * 1000);
}
document.querySelectorAll("[data-refresh]").forEach(refresh);
