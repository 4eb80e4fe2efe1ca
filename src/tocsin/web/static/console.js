// What the pages of the console do beyond links and forms: times in the reader's zone, keys, the live mark.
// Everything that matters works without it.

// The page's language, in the way that the reader's country writes it.
const page = document.documentElement.lang;
const language = navigator.languages.find((each) => each.startsWith(page)) ?? page;
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const full = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "long" });
// Russian's narrow form is `-3 ч`, which nobody reads as a time ago.
const ago = new Intl.RelativeTimeFormat(language, { style: page === "ru" ? "short" : "narrow" });
const STEPS = [["second", 60], ["minute", 60], ["hour", 24], ["day", 365], ["year", Infinity]];

function age(at) {
  let amount = Math.min(0, (at - Date.now()) / 1000);
  for (const [unit, most] of STEPS) {
    if (Math.abs(amount) < most) return ago.format(Math.trunc(amount), unit);
    amount /= most;
  }
}

function sayTimes() {
  for (const each of document.querySelectorAll("time[datetime]")) {
    const at = new Date(each.dateTime);
    const today = at.toDateString() === new Date().toDateString();
    const said = "age" in each.dataset ? age(at) : (today ? clock : day).format(at);
    if (each.textContent !== said) each.textContent = said;
    each.title = full.format(at);
  }
}

// A choice in such a list is sent at once; the button beside it is for browsers without scripts.
for (const each of document.querySelectorAll("[data-spare]")) each.hidden = true;
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-sends]")) event.target.form.requestSubmit();
});
document.addEventListener("submit", (event) => {
  const asks = event.target.dataset.asks;
  if (asks && !confirm(asks)) event.preventDefault();
});

function live(on) {
  const pulse = document.querySelector("[data-pulse]");
  if (!pulse) return;
  pulse.hidden = false;
  pulse.classList.toggle("lost", !on);
}

function rows() {
  return [...document.querySelectorAll("[data-rows] > li > a")];
}

function step(by) {
  const all = rows();
  const at = all.indexOf(document.activeElement);
  const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
  next?.focus();
}

async function tell(row, path, fields) {
  const home = `/i/${row.dataset.id}`;
  const sent = await fetch(`${home}/${path}`, { method: "POST", body: new URLSearchParams(fields), redirect: "manual" });
  if (sent.type !== "opaqueredirect") location.assign(home); // it was refused: the page says what is possible
}

function act(key, path, fields) {
  const button = document.querySelector(`[data-key="${key}"]`);
  if (button) return button.click();
  const row = document.activeElement.closest?.("[data-rows] a");
  if (row) tell(row, path, fields);
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  n: () => document.getElementById("words")?.focus(),
  a: () => act("a", "acknowledge", {}),
  r: () => act("r", "move", { status: "resolved" }),
  "/": () => document.getElementById("source")?.focus(),
  "?": () => document.getElementById("keys")?.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target.matches("input, textarea, select")) event.target.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
  if (document.querySelector("dialog[open]")) return;
  const deed = KEYS[event.key];
  if (deed) {
    event.preventDefault();
    deed();
  }
});

document.addEventListener("htmx:after:swap", () => {
  sayTimes();
  for (const each of document.querySelectorAll("[data-spare]")) each.hidden = true;
});
document.addEventListener("htmx:sse:after:connection", () => live(true));
document.addEventListener("htmx:sse:error", () => live(false));
setInterval(sayTimes, 20_000);
sayTimes();
