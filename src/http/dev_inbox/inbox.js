"use strict";
// Shows new messages without a reload, and copies codes. Everything else is in the page that the server renders.

const POLL_MS = 1000, STATUS_MS = 4000, ANSWER_MS = 10000;
const $ = (id) => document.getElementById(id);
let clearing = 0;

// Shows a short notice, which screen readers announce. It disappears by itself.
function notify(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
  clearTimeout(clearing);
  clearing = setTimeout(() => { $("status").textContent = ""; }, STATUS_MS);
}

// Replaces an element only if it changed, so that the focus and a selection stay.
function replace(old, fresh) {
  if (old && !old.isEqualNode(fresh)) old.replaceWith(fresh);
}

// Takes over what changed in a newly rendered page. The filter field is left alone.
function update(fresh) {
  const list = $("list"), messages = [...fresh.getElementById("list").children];
  for (const item of [...list.children]) if (!fresh.getElementById(item.id)) item.remove();
  for (const id of ["empty", "count"]) replace($(id), fresh.getElementById(id));
  let arrived = 0;
  messages.forEach((message, place) => {
    const old = $(message.id);
    if (old) {
      Object.assign(old.dataset, message.dataset);
      for (const part of [".age", ".state", ".steps"]) replace(old.querySelector(part), message.querySelector(part));
    } else {
      message.classList.add("new");
      list.insertBefore(message, list.children[place] ?? null);
      arrived += 1;
    }
  });
  if (arrived) notify(arrived === 1 ? "1 new message" : `${arrived} new messages`);
}

async function poll() {
  try {
    if (!document.hidden) {
      const response = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
      if (!response.ok) throw new Error(response.statusText);
      update(new DOMParser().parseFromString(await response.text(), "text/html"));
    }
  } catch {
    notify("The server does not answer, trying again");
  }
  setTimeout(poll, POLL_MS);
}

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-copy]");
  if (!button) return;
  const source = $(button.dataset.copy), what = button.textContent.replace("Copy ", "");
  let copied = false;
  try {
    await navigator.clipboard.writeText(source.textContent);
    copied = true;
  } catch {
    // Without the clipboard API, as on plain http:// anywhere but localhost.
    getSelection().selectAllChildren(source);
    copied = document.execCommand("copy");
  }
  notify(copied ? `Copied ${what}` : `Could not copy ${what}: it is selected, copy it with the keyboard`);
});

// A page without a list shows an error in the filter.
if ($("list")) setTimeout(poll, POLL_MS);
