// Live updates. One tab holds the stream for all tabs of this browser (Web Locks, BroadcastChannel), every tab asks for
// the parts of its own page that a message touches. Nothing that a person is using is replaced: the composer is kept by
// its key, and the list waits while somebody points at it.
const STALE = 20_000;
const SELF = 30_000; // look by ourselves: hints may be lost
const ALIVE = 15_000; // tell that we are here, at most so often
const SLOW = 2_000; // counts and lists, at most so often
const ITEM_PARTS = ["head", "thread", "dock", "context"];
const SLOW_PARTS = ["rail", "list", "tabs"];

const page = () => document.getElementById("page");
const channel = new BroadcastChannel("careline-live");
const wanted = new Set();
let lastHeard = Date.now();
let lastSlow = 0;
let lastAlive = 0;
let busy = false;
let timer;

function asking() {
  const kind = page()?.dataset.live;
  return kind && !document.querySelector("form.htmx-request") ? kind : null;
}

function pointedAt() {
  return matchMedia("(hover: hover)").matches && document.querySelector("#list .items:hover") !== null;
}

function due() {
  const parts = [...wanted];
  if (Date.now() - lastSlow < SLOW) return parts.filter((part) => !SLOW_PARTS.includes(part));
  const held = pointedAt();
  const news = document.querySelector("[data-list-news]");
  if (news) news.hidden = !(held && wanted.has("list"));
  return held ? parts.filter((part) => part !== "list") : parts;
}

async function refresh() {
  clearTimeout(timer);
  const kind = asking();
  if (busy || !kind) return again();
  if (kind !== "desk" && Date.now() - lastSlow < SLOW) return again();
  const parts = kind === "desk" ? due() : ["page"];
  if (!wanted.size) return;
  if (parts.length) {
    busy = true;
    for (const part of kind === "desk" ? parts : [...wanted]) wanted.delete(part);
    if (parts.some((part) => SLOW_PARTS.includes(part) || part === "page")) lastSlow = Date.now();
    const address = new URL(location.href);
    address.hash = "";
    if (kind === "desk") {
      address.searchParams.set("parts", parts.join(","));
      const key = document.querySelector('[data-composer] [name="key"]')?.value;
      if (key) address.searchParams.set("key", key);
    }
    try {
      await htmx.ajax("GET", address.pathname + address.search, { target: "#page", swap: kind === "desk" ? "none" : "outerMorph" });
    } finally {
      busy = false;
    }
  }
  again();
}

function again() {
  clearTimeout(timer);
  if (wanted.size) timer = setTimeout(refresh, 400);
}

function want(parts) {
  for (const part of parts) wanted.add(part);
  if (!busy) {
    clearTimeout(timer);
    timer = setTimeout(refresh, 60);
  }
}

function everything() {
  want(["me", "offer", ...SLOW_PARTS, ...(document.getElementById("desk")?.dataset.item ? ITEM_PARTS : ["dock"])]);
}

function heard(message) {
  lastHeard = Date.now();
  if (!message || !page()?.dataset.live) return;
  if (message.all) return everything();
  const item = Number(document.getElementById("desk")?.dataset.item);
  const touched = (ids, one) => ids === null || ids?.includes(one);
  if ("items" in message || "queues" in message) want(SLOW_PARTS);
  if ("agents" in message) want(["me", "offer"]);
  if ("items" in message && item && touched(message.items, item)) want(ITEM_PARTS);
}

// The server cannot tell an open stream from that of a shut laptop for minutes, so we answer what we hear.
function alive() {
  if (Date.now() - lastAlive < ALIVE) return;
  lastAlive = Date.now();
  fetch("/presence/alive", { redirect: "manual" }).catch(() => { lastAlive = 0; }); // the next beat tries again
}

function listen() {
  return new Promise((ended) => {
    const stream = new EventSource("/live");
    const pass = ({ data }, read) => {
      alive();
      const message = read ? JSON.parse(data) : null;
      heard(message);
      channel.postMessage(message);
    };
    stream.addEventListener("hello", (event) => pass(event, true));
    stream.addEventListener("change", (event) => pass(event, true));
    stream.addEventListener("beat", (event) => pass(event, false));
    stream.addEventListener("error", () => stream.readyState === EventSource.CLOSED && setTimeout(() => { stream.close(); ended(); }, 5_000));
    addEventListener("pagehide", () => stream.close(), { once: true });
  });
}

async function lead() {
  for (;;) await listen();
}

function state() {
  const light = document.getElementById("live");
  if (!light || !page()?.dataset.live) return;
  const stale = Date.now() - lastHeard > STALE;
  light.hidden = false;
  light.dataset.state = stale ? "stale" : "on";
  const word = light.querySelector("[data-live-word]");
  const text = stale ? word.dataset.stale : word.dataset.on;
  if (word.textContent !== text) word.textContent = text;
}

// A part that was asked for on another page must not land on this one.
document.addEventListener("htmx:before:swap", (event) => {
  const asked = event.detail.ctx?.request?.action;
  if (asked?.includes("parts=") && new URL(asked, location.href).pathname !== location.pathname) event.preventDefault();
});
document.addEventListener("careline:refresh", everything);
document.addEventListener("careline:swapped", state);
document.addEventListener("click", ({ target }) => {
  if (!target.closest("[data-list-news]")) return;
  target.closest("[data-list-news]").hidden = true;
  document.activeElement?.blur();
  lastSlow = 0;
  wanted.add("list");
  refresh();
});
document.addEventListener("visibilitychange", () => document.hidden || everything());
channel.addEventListener("message", ({ data }) => heard(data));

if (document.getElementById("topbar") && page()?.dataset.live !== undefined) {
  if (navigator.locks) navigator.locks.request("careline-live", lead);
  else lead();
  setInterval(everything, SELF);
  setInterval(state, 2_000);
  state();
}
