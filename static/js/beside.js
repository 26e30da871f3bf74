// Colleagues beside us: who else has the item before their eyes, who writes on it, and the bell. The page gives a sign
// every few seconds while it is seen; the answer tells who else is there.
const SIGN = 10_000;
const TYPED = 4_000; // a sign of typing, at most so often
const QUIET = 6_000; // without a key for so long, nobody types

const item = () => document.getElementById("desk")?.dataset.item;
const me = () => Number(document.getElementById("page")?.dataset.me);
const csrf = () => document.querySelector('meta[name="csrf"]').content;
let shown = null; // the item we have told that we see it
let signed = 0;
let typed = 0;
let told = 0; // when we last told that we type

async function ask(address, options = {}) {
  const headers = { "HX-Request": "true", "X-CSRF": csrf() };
  try {
    const answer = await fetch(address, { headers, redirect: "manual", ...options });
    return answer.ok ? await answer.text() : null;
  } catch {
    return null; // offline: the next sign tries again
  }
}

function put(text) {
  const parts = new DOMParser().parseFromString(text ?? "", "text/html");
  for (const part of parts.body.querySelectorAll("[id]")) {
    const old = document.getElementById(part.id);
    if (old && old.outerHTML !== part.outerHTML) old.replaceWith(part);
  }
}

function leave(one) {
  ask(`/items/${one}/viewing`, { method: "DELETE", keepalive: true });
}

async function sign() {
  const here = document.hidden ? null : item();
  if (shown && shown !== here) leave(shown);
  shown = here;
  if (!here || !csrf()) return;
  signed = Date.now();
  const body = new URLSearchParams(Date.now() - typed < QUIET ? { typing: "1" } : {});
  const text = await ask(`/items/${here}/viewing`, { method: "PUT", body });
  if (here === item()) put(text);
}

document.addEventListener("input", ({ target }) => {
  if (!target.matches?.("[data-draft]")) return;
  typed = Date.now();
  if (typed - told < TYPED) return;
  told = typed;
  sign();
});
document.addEventListener("careline:heard", ({ detail }) => {
  const news = detail.notices?.includes(me());
  if (detail.all || news || detail.viewers?.includes(Number(item()))) setTimeout(sign, Math.max(0, 1_000 - (Date.now() - signed)));
  if (detail.all || news) bell();
});
document.addEventListener("careline:swapped", () => item() !== shown && sign());
document.addEventListener("visibilitychange", sign);
addEventListener("pagehide", () => shown && leave(shown));
setInterval(sign, SIGN);
// In the list nobody tells us that somebody has gone without a word, so we look again while somebody is there.
setInterval(() => document.querySelector("#list .presence") && document.dispatchEvent(new CustomEvent("careline:list")), 15_000);

const layer = () => document.getElementById("notices");

async function bell() {
  if (!document.getElementById("bell")) return;
  const focused = document.activeElement?.id === "bell";
  put(await ask("/notices?only=bell"));
  if (focused) document.getElementById("bell")?.focus();
  document.dispatchEvent(new CustomEvent("careline:notices"));
  if (layer()?.matches(":popover-open") && !layer().contains(document.activeElement)) newest();
}

async function newest() {
  put(await ask("/notices?only=newest"));
  if (layer()) htmx.process(layer());
}

document.addEventListener("toggle", ({ target, newState }) => newState === "open" && target.id === "notices" && newest(), true);
if (item()) sign();
