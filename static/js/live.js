// Live updates. One tab holds the stream for all tabs of this browser (Web Locks, BroadcastChannel), every tab asks for
// the parts of its own page that a message touches. Nothing that a person is using is replaced: the composer is kept by
// its key, and the list waits while somebody points at it.
import { gone } from "./bad-days.js";

const STALE = 20_000;
const SELF = 30_000; // look by ourselves: hints may be lost
const SOON = 300; // in a crowd, after what is about ourselves: it comes in bursts
const ALIVE = 25_000; // tell that we are here when nothing was asked for so long; the server believes us for 60 s
const ITEM_PARTS = ["head", "thread", "dock", "context"];
const SLOW_PARTS = ["rail", "list", "tabs"];
const MY_PARTS = ["me", "offer", "bar"];

const page = () => document.getElementById("page");
const channel = new BroadcastChannel("careline-live");
const wanted = new Set();
let lastHeard = Date.now();
let slow = 2_000; // counts and lists, at most so often; the server says how seldom when many look
let spread = 0; // over how long desks that hear of the same change look one after the other
let lastSlow = 0;
let lastAlive = 0;
let busy = false;
let hurry = false; // what is about ourselves came while an answer was under way
let askedAt = 0; // when the parts on their way were asked for
let answeredAt = 0; // when the newest answer to a person was drawn
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
  if (Date.now() - lastSlow < slow) return parts.filter((part) => !SLOW_PARTS.includes(part));
  const held = pointedAt();
  const news = document.querySelector("[data-list-news]");
  if (news) news.hidden = !(held && wanted.has("list"));
  return held ? parts.filter((part) => part !== "list") : parts;
}

// What to ask for on this kind of page, and where the answer goes.
function questions(kind) {
  const here = new URL(location.href);
  here.hash = "";
  if (kind === "desk") {
    for (const part of ["page", "health"]) wanted.delete(part); // of the page before this one
    const parts = due();
    if (!parts.length) return [];
    here.searchParams.set("parts", parts.join(","));
    const key = document.querySelector('[data-composer] [name="key"]')?.value;
    if (key) here.searchParams.set("key", key);
    return [{ parts, address: here.pathname + here.search, how: { target: "#page", swap: "none" } }];
  }
  if (Date.now() - lastSlow < slow && !wanted.has("me")) return [];
  if (kind === "board") return [{ parts: [...wanted], address: here.pathname + here.search, how: { target: "#page", swap: "outerMorph" } }];
  const asked = [];
  const health = document.getElementById("health");
  if (wanted.has("me")) asked.push({ parts: MY_PARTS, address: "/presence", how: { target: "#page", swap: "none" } });
  if (wanted.has("health") && health) asked.push({ parts: ["health"], address: health.dataset.source, how: { target: "#health", swap: "outerMorph" } });
  if (!asked.length) wanted.clear();
  return asked;
}

async function refresh() {
  clearTimeout(timer);
  const kind = asking();
  if (busy || !kind) return again();
  const asked = questions(kind);
  if (!asked.length) return again();
  busy = true;
  hurry = false;
  try {
    for (const { parts, address, how } of asked) {
      for (const part of parts) wanted.delete(part);
      if (parts.some((part) => !MY_PARTS.includes(part) && !ITEM_PARTS.includes(part))) lastSlow = Date.now();
      askedAt = performance.now();
      lastAlive = Date.now();
      await htmx.ajax("GET", address, how);
    }
  } finally {
    busy = false;
  }
  again();
}

function again() {
  clearTimeout(timer);
  if (wanted.size) timer = setTimeout(refresh, hurry ? 0 : 400);
}

function want(parts, wait = 60) {
  for (const part of parts) wanted.add(part);
  if (!busy) {
    clearTimeout(timer);
    timer = setTimeout(refresh, wait);
  }
}

function everything() {
  if (page()?.dataset.live !== "desk") return want([...MY_PARTS, "page", "health"]);
  want([...MY_PARTS, ...SLOW_PARTS, ...(document.getElementById("desk")?.dataset.item ? ITEM_PARTS : ["dock"])]);
}

const touched = (ids, one) => ids === null || Boolean(ids?.includes(one));

function heard(message) {
  if (message?.line) return gone();
  lastHeard = Date.now();
  if (message?.pace) {
    slow = message.pace * 1_000;
    spread = Math.max(0, slow - 2_000);
  }
  const kind = page()?.dataset.live;
  if (!message || !kind) return;
  document.dispatchEvent(new CustomEvent("careline:heard", { detail: message }));
  if (message.viewers?.some((one) => document.getElementById(`item-${one}`))) want(["list"]);
  if (message.all) return everything();
  const mine = "agents" in message && touched(message.agents, Number(page().dataset.me));
  hurry ||= mine;
  if (mine) want(MY_PARTS);
  if (kind === "board" && ("items" in message || "queues" in message || "agents" in message)) want(["page"]);
  const health = document.getElementById("health");
  if ("feeds" in message && health && (!health.dataset.feed || touched(message.feeds, Number(health.dataset.feed)))) want(["health"]);
  if (kind !== "desk") return;
  if (!wanted.has("rail")) lastSlow = Math.max(lastSlow, Date.now() - slow + Math.random() * spread); // not all at once
  if (mine) lastSlow = Math.min(lastSlow, Date.now() - slow + Math.min(SOON, spread)); // an offer, and the list it leaves: one answer, in a crowd soon after
  if (message.items?.some((one) => document.getElementById(`item-${one}`))) lastSlow = Math.min(lastSlow, Date.now() - slow / 2); // what is seen to change is drawn sooner
  if (mine || "items" in message || "queues" in message) want(SLOW_PARTS, mine ? 0 : 60); // an offer does not wait
  const item = Number(document.getElementById("desk")?.dataset.item);
  if ("items" in message && item && touched(message.items, item)) want(ITEM_PARTS);
}

// The server cannot tell an open stream from that of a shut laptop for minutes, so we answer what we hear.
function alive() {
  if (Date.now() - lastAlive < ALIVE) return;
  lastAlive = Date.now();
  fetch("/presence/alive", { redirect: "manual" }).catch(() => { lastAlive = 0; }); // the next beat tries again
}

let opened = false;
function listen() {
  return new Promise((ended) => {
    const stream = new EventSource("/live");
    const pass = ({ data }) => {
      alive();
      const message = JSON.parse(data);
      heard(message);
      channel.postMessage(message);
    };
    stream.addEventListener("hello", pass);
    stream.addEventListener("change", pass);
    stream.addEventListener("beat", pass);
    stream.addEventListener("error", () => {
      fetch("/presence/alive", { redirect: "manual" }).catch(() => { // a stream may end for other reasons
        gone();
        channel.postMessage({ line: "lost" });
      });
      if (stream.readyState === EventSource.CLOSED) everything(); // who is signed out hears it there
    });
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

// A part that was asked for on another page, or before the page's newest answer, must not land on it.
document.addEventListener("htmx:before:swap", (event) => {
  const asked = event.detail.ctx?.request?.action;
  if (!asked?.includes("parts=")) {
    answeredAt = performance.now();
    return;
  }
  const elsewhere = new URL(asked, location.href).pathname !== location.pathname;
  if (elsewhere || askedAt < answeredAt) event.preventDefault();
  if (!elsewhere && askedAt < answeredAt) everything();
});
document.addEventListener("careline:refresh", everything);
document.addEventListener("careline:stale", () => {
  lastSlow = 0;
  everything();
});
document.addEventListener("careline:list", () => want(["list"]));
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

if (page()?.dataset.live) {
  if (navigator.locks) navigator.locks.request("careline-live", lead);
  else lead();
  setInterval(everything, SELF);
  setInterval(state, 2_000);
  state();
}
