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

// A choice in such a list is sent at once; the button beside it is for browsers without scripts, and for the keyboard:
// an arrow key goes through the choices one by one, and none of them on the way is meant.
function hideSpares() {
  for (const each of document.querySelectorAll("[data-spare]")) each.hidden = true;
}
document.addEventListener("pointerdown", (event) => {
  if (event.target.matches("[data-sends]")) delete event.target.dataset.typed;
});
document.addEventListener("change", (event) => {
  const list = event.target;
  if (!list.matches("[data-sends]")) return;
  if (!("typed" in list.dataset)) return list.form.requestSubmit();
  const spare = list.form.querySelector("[data-spare]");
  if (spare) spare.hidden = false;
});

// A form is sent once, however often it is clicked.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "dialog") return;
  const asks = form.dataset.asks;
  if ("sent" in form.dataset || (asks && !confirm(asks))) return event.preventDefault();
  form.dataset.sent = "";
});
addEventListener("pageshow", () => {
  for (const each of document.querySelectorAll("form[data-sent]")) delete each.dataset.sent;
});

// A page that hears nothing for so long has lost its connection, whatever the browser thinks: the server says something
// at least every 15 seconds.
const SILENCE = 40_000;
let heard = Date.now();

function live(on) {
  if (on) heard = Date.now();
  const pulse = document.querySelector("[data-pulse]");
  if (!pulse) return;
  pulse.hidden = false;
  pulse.classList.toggle("lost", !on);
  pulse.querySelector("[data-on]").hidden = !on;
  pulse.querySelector("[data-off]").hidden = on;
}

function say(what) {
  const line = document.getElementById("said");
  if (!line) return;
  line.textContent = line.dataset[what];
  setTimeout(() => (line.textContent = ""), 8_000);
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

let place = -1; // where among the rows a key was just used: a row that leaves hands the focus on to the next
for (const each of ["focusin", "pointerdown"]) document.addEventListener(each, () => (place = -1));

async function tell(row, path, fields) {
  const home = `/i/${row.dataset.id}`;
  place = rows().indexOf(row);
  let answer;
  try {
    answer = await fetch(`${home}/${path}`, { method: "POST", body: new URLSearchParams(fields) });
  } catch {
    return say("unreachable");
  }
  if (answer.ok && new URL(answer.url).pathname === home) return;
  if (answer.status === 403) return say("refused");
  location.assign(answer.ok ? answer.url : home); // the sign-in, or the page that says what is possible
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

// By what is printed on the key where the layout has no Latin letters.
function keyOf(event) {
  if (event.key in KEYS) return event.key;
  if (/^[a-z]$/i.test(event.key)) return event.key.toLowerCase();
  if (event.code === "Slash") return event.shiftKey ? "?" : "/";
  return event.code.replace(/^Key/, "").toLowerCase();
}

document.addEventListener("keydown", (event) => {
  const into = event.target;
  if (into.matches("[data-sends]")) {
    into.dataset.typed = "";
    if (event.key === "Enter") {
      event.preventDefault();
      into.form.requestSubmit();
    }
  }
  if (event.key === "Escape" && into.matches("input, textarea, select")) into.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || into.matches("input, textarea, select")) return;
  if (document.querySelector("dialog[open]")) return;
  const key = keyOf(event);
  const deed = KEYS[key];
  if (deed && !(event.repeat && key !== "j" && key !== "k")) {
    event.preventDefault();
    deed();
  }
});

document.addEventListener("htmx:after:swap", () => {
  sayTimes();
  hideSpares();
  if (document.activeElement === document.body && place >= 0) rows()[Math.min(place, rows().length - 1)]?.focus();
});

// What could not be had is asked for again; the page shows what it had until then.
const AGAIN = 3_000;
document.addEventListener("htmx:response:error", (event) => {
  const status = event.detail.ctx.response.status;
  if (status === 401) return location.reload();
  live(false);
  const part = event.detail.ctx.sourceElement;
  setTimeout(() => {
    const stream = part.getAttribute("hx-sse:connect");
    if (stream) htmx.ajax("GET", stream, { source: part });
    else htmx.trigger(document.getElementById("live") ?? part, "changed");
  }, AGAIN);
});
document.addEventListener("htmx:after:request", (event) => {
  if (event.detail.ctx?.response?.status < 400) live(true);
});
document.addEventListener("htmx:sse:after:connection", () => live(true));
document.addEventListener("htmx:sse:after:message", () => live(true));
document.addEventListener("htmx:sse:error", (event) => {
  if (event.detail.status === 401) return location.reload(); // the session has ended: the sign-in follows
  live(false);
});
setInterval(() => {
  sayTimes();
  if (Date.now() - heard > SILENCE) live(false);
}, 20_000);
hideSpares();
sayTimes();
