"use strict";

const POLL_MS = 2000, BUSY_MS = 700, AWAY_MS = 4000, HANGING_MS = 10000, TYPING_MS = 450, NEW_MS = 5000, BUSY_FOR_MS = 60000;
const CHANNELS = { sms: "SMS", whatsapp: "WhatsApp", call: "Voice call" };
const STEPS = { queued: "Queued", sent: "Sent", delivered: "Delivered", undelivered: "Undelivered", failed: "Failed" };
const CALL_STEPS = { sent: "Ringing", delivered: "Answered" };
const CODE_STATES = {
  live: "Works now", used: "Used", expired: "Expired", exhausted: "Too many wrong codes", replaced: "No longer works",
};
const UNDER_WAY = ["queued", "sent"], LOST = ["undelivered", "failed"];
const WHY = { 30005: "unknown handset" }; // of Twilio's codes, what the test inbox plays

const $ = (id) => document.getElementById(id);
const list = $("list"), phone = $("phone");
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const items = new Map(); // key of a message -> its <li>
let timer = 0, typing = 0, asked = 0, unread = 0, filter = "";
let answered = null; // the filter that the list now shows; null when it shows no answer
let busy = false; // whether a message that the list shows is still under way
let chosen = false; // whether the person has opened or closed the list of numbers herself
let lastText = ""; // the last answer, so that an equal one costs nothing
let skew = 0; // server's clock minus this one's: ages are right even if a container's clock has drifted

// A region that already holds this text would stay silent, hence the pause between emptying and filling it.
function say(text) {
  $("live").textContent = "";
  setTimeout(() => { $("live").textContent = text; }, 50);
}

function el(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  node.append(text);
  return node;
}

const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

function age(then) {
  const s = Math.floor((Date.now() + skew - then) / 1000);
  if (!(s >= 1)) return "just now";
  const [size, unit] = s < 60 ? [1, "s"] : s < 3600 ? [60, "min"] : s < 86400 ? [3600, "h"] : [86400, "d"];
  return `${Math.floor(s / size)} ${unit} ago`;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // The clipboard API is missing on plain http:// anywhere but localhost, as when a phone opens this page.
    const focused = document.activeElement, selection = getSelection();
    const range = selection.rangeCount ? selection.getRangeAt(0) : null;
    const area = el("textarea", "unseen", text);
    document.body.append(area);
    area.focus({ preventScroll: true });
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    selection.removeAllRanges();
    if (range) selection.addRange(range);
    focused?.focus({ preventScroll: true });
    return copied;
  }
}

function copies(button, source, what) {
  const label = button.firstChild;
  let back = 0;
  button.addEventListener("click", async () => {
    const copied = await copy(source.textContent);
    label.data = copied ? "Copied" : "Selected";
    button.classList.toggle("done", copied);
    if (!copied) getSelection().selectAllChildren(source); // one key press is then left to do
    say(copied ? `Copied ${what}` : `Could not copy; ${what} is selected, copy it with the keyboard`);
    clearTimeout(back);
    back = setTimeout(() => { label.data = "Copy"; button.classList.remove("done"); }, 2000);
  });
}

// A restarted server may count its ids from the start again, so the id alone does not name a message.
const keyOf = (message) => `${message.id} ${message.created_at}`;

function draw(message) {
  const item = $("message").content.firstElementChild.cloneNode(true);
  const part = (name) => item.querySelector(`.${name}`);
  const to = part("to"), at = new Date(message.created_at), time = part("age");
  item.classList.add(message.channel);
  to.textContent = message.to;
  to.href = "?" + new URLSearchParams({ phone_number: message.to });
  part("channel").textContent = `${CHANNELS[message.channel] ?? message.channel} · ${message.language}`;
  time.textContent = age(at);
  time.dateTime = message.created_at;
  time.title = exact.format(at);
  part("bubble").textContent = message.body;
  part("bubble").lang = message.language; // a screen reader changes its voice
  if (message.otp_code) {
    const button = item.querySelector(".otp button");
    part("code").textContent = message.otp_code;
    button.lastChild.textContent = ` code ${message.otp_code}`;
    copies(button, part("code"), `code ${message.otp_code}`);
  } else {
    part("otp").remove();
  }
  Object.assign(item, { at, time, steps: part("steps") });
  return item;
}

// Adds the steps that are new; those that are there have happened and stay as they are.
function progress(item, message) {
  const { steps } = item, lost = LOST.includes(message.status);
  if (steps.childElementCount === message.timeline.length) return;
  const begin = new Date(message.timeline[0].at);
  for (const { status, at, error_code: code } of message.timeline.slice(steps.childElementCount)) {
    const then = new Date(at), label = (message.channel === "call" && CALL_STEPS[status]) || STEPS[status] || status;
    const after = steps.childElementCount ? `+${((then - begin) / 1000).toLocaleString("en")} s` : clock.format(then);
    const step = el("li", LOST.includes(status) ? "problem" : "", `${label} `), time = el("time", "", after);
    time.dateTime = at;
    time.title = exact.format(then);
    step.append(time);
    if (code) step.append(el("span", "", ` (${[code, WHY[code]].filter(Boolean).join(": ")})`));
    steps.append(step);
  }
  item.dataset.status = message.status;
  if (lost && answered === filter) say(`The message to ${message.to} did not arrive: ${steps.lastElementChild.textContent}`);
}

// Says whether the code still works, which changes while the message stays.
function judge(item, message) {
  const state = message.code_state ?? "";
  if (!message.otp_code || (item.dataset.code ?? "") === state) return;
  item.dataset.code = state;
  const label = item.querySelector(".state");
  label.textContent = CODE_STATES[state] ?? state;
  label.hidden = !state;
}

// Something is about to happen to a message, so it is asked more often.
const isBusy = (messages) => messages.some((message) => UNDER_WAY.includes(message.status)
  && Date.now() + skew - Date.parse(message.created_at) < BUSY_FOR_MS);

// Nodes that stay are never moved or rebuilt: focus, selection and a half-read line survive every poll.
function update(messages) {
  const arriving = answered === filter; // else all of it is merely another view
  const top = (node) => node.getBoundingClientRect().top;
  const held = top(list) < 0 && [...list.children].find((item) => item.getBoundingClientRect().bottom > 0);
  const heldAt = held && top(held);
  const keys = new Set(messages.map(keyOf));
  for (const [key, item] of items) {
    if (keys.has(key)) continue;
    if (item.contains(document.activeElement)) $("title").focus({ preventScroll: true });
    item.remove();
    items.delete(key);
  }
  let next = list.firstElementChild, fresh = 0;
  for (const message of messages) {
    const key = keyOf(message), known = items.get(key), item = known ?? draw(message);
    if (item === next) next = next.nextElementSibling;
    else list.insertBefore(item, next);
    items.set(key, item);
    progress(item, message);
    judge(item, message);
    if (known || !arriving) continue;
    fresh += 1;
    item.classList.add("new");
    setTimeout(() => item.classList.remove("new"), NEW_MS);
  }
  if (held?.isConnected) scrollBy({ top: top(held) - heldAt, behavior: "instant" });
  $("count").textContent = plural(messages.length, "message");
  if (fresh) say(`${plural(fresh, "new message")}, ${messages.length} in all`);
  if (held) unread += fresh;
  showJump();
}

function showJump() {
  if (list.getBoundingClientRect().top >= 0) unread = 0;
  $("jump").hidden = unread === 0;
  $("jump").textContent = `↑ ${plural(unread, "new message")}`;
}

function tick() {
  const selection = getSelection(), selecting = !selection.isCollapsed;
  // Changing text under a selection would undo it; that age can wait. Asking about the selection lays the page out
  // when something has changed, so all is asked before anything is written.
  const late = [...items.values()].filter(({ at, time }) => time.textContent !== age(at)
    && !(selecting && selection.containsNode(time, true)));
  for (const { at, time } of late) time.firstChild.data = age(at);
}

function show(shown, problem = "", banner = "") {
  for (const id of ["count", "list", "empty", "off"]) $(id).hidden = !shown.includes(id);
  $("numbers").hidden = shown.includes("off");
  $("badge").hidden = $("lead").hidden = shown.includes("off");
  if (problem && problem !== $("problem").textContent) say(problem);
  $("problem").textContent = problem || "";
  $("problem").hidden = !problem;
  $("hint").hidden = Boolean(problem);
  phone.setAttribute("aria-invalid", String(Boolean(problem)));
  setBanner(banner);
}

function setBanner(text) {
  if (text && $("banner").hidden) say(text);
  $("banner").textContent = text;
  $("banner").hidden = !text;
}

function showMessages(messages) {
  update(messages);
  answered = filter;
  busy = isBusy(messages);
  show(messages.length ? ["count", "list"] : ["empty"]);
  if (!chosen) $("numbers").open = !messages.length && !filter;
  // Only what cannot break out of a shell's quotes goes into the command.
  const number = /^\+\d[\d ().-]{7,}$/.test(filter) ? filter : "+919876543210";
  $("empty-title").textContent = filter ? `No messages to numbers with ${filter} yet` : "No messages yet";
  $("curl").textContent = `curl ${location.origin}/api/auth/signup \\\n  -H 'Content-Type: application/json' \\\n`
    + `  -d '${JSON.stringify({ phone_number: number })}'`;
}

function showAway(text) {
  // What stands there stays readable, unless it answers another filter than the one in the field.
  if (answered === filter) setBanner(text); else show([], "", text);
  return AWAY_MS;
}

// Shows one answer and says how long to wait for the next; 0 is until the filter changes.
function take(response, text) {
  const served = Date.parse(response.headers.get("date"));
  skew = Math.abs(served - Date.now()) > 3000 ? served - Date.now() : 0;
  if (response.ok) {
    if (text === lastText && answered === filter) setBanner("");
    else showMessages(JSON.parse(text).messages);
    lastText = text;
    return busy ? BUSY_MS : POLL_MS;
  }
  if (response.status !== 404 && response.status !== 422) {
    return showAway(`Server answered ${response.status}, trying again`);
  }
  const refusal = response.status === 422 && JSON.parse(text);
  answered = null;
  show(refusal ? [] : ["off"], refusal && (refusal.error?.fields?.phone_number?.join(" ") ?? refusal.message));
  return refusal ? 0 : AWAY_MS;
}

async function poll() {
  clearTimeout(timer);
  const mine = ++asked; // an answer to an older question, from before the filter changed, is dropped
  let wait = 0;
  try {
    const response = await fetch($("json").href, { signal: AbortSignal.timeout(HANGING_MS), cache: "no-store" });
    const text = await response.text();
    if (asked === mine) wait = take(response, text);
  } catch {
    if (asked === mine) wait = showAway("Server not reachable, trying again");
  }
  if (wait && !document.hidden) timer = setTimeout(poll, wait);
}

function setFilter(value) {
  clearTimeout(typing);
  $("clear").hidden = !phone.value;
  if (value === filter && answered !== null) return;
  filter = value;
  const query = filter && "?" + new URLSearchParams({ phone_number: filter });
  history.replaceState(null, "", location.pathname + query);
  $("json").href = "/dev/inbox.json" + query;
  unread = 0;
  poll();
}

function clear() {
  phone.value = "";
  phone.focus();
  setFilter("");
}
phone.addEventListener("input", () => {
  $("clear").hidden = !phone.value;
  clearTimeout(typing);
  typing = setTimeout(() => setFilter(phone.value.trim()), TYPING_MS);
});
phone.addEventListener("keydown", (event) => event.key === "Escape" && clear());
$("filter").addEventListener("submit", (event) => { event.preventDefault(); setFilter(phone.value.trim()); });
$("clear").addEventListener("click", clear);
$("jump").addEventListener("click", () => {
  $("title").focus({ preventScroll: true });
  scrollTo({ top: 0, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth" });
});
addEventListener("scroll", showJump, { passive: true });
document.addEventListener("visibilitychange", () => document.hidden ? clearTimeout(timer) : poll());
copies($("copy-curl"), $("curl"), "the command");
for (const row of $("numbers").querySelectorAll("li")) {
  const number = row.querySelector(".number");
  copies(row.querySelector("button"), number, number.textContent);
}
$("numbers").querySelector("summary").addEventListener("click", () => { chosen = true; });

$("main").hidden = false;
// A plus typed by hand into the address reads as a space.
phone.value = (new URLSearchParams(location.search).get("phone_number") ?? "").replace(/^ (?=\d)/, "+").trim();
setFilter(phone.value);
setInterval(tick, 1000);
