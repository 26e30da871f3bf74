// Pages ahead: what a key would open next is fetched before it is pressed, and shown at once when it is. A page fetched
// ahead is used once and only while it is fresh; then its parts are asked for anew, so that nothing stale stays.
import { offline } from "./bad-days.js";

const FRESH = 20_000;
const PAUSE = 40; // a key that is held down passes rows by
const MOST = 4; // pages kept
const kept = new Map(); // address -> { item, at, page }
let asked = ""; // what is on its way
let leaving; // stops it
let timer;
let shown = null; // the request that a page ahead answers

const place = ({ href }) => { const { pathname, search } = new URL(href, location.href); return pathname + search; };
const itemOf = (address) => Number(/^\/items\/(\d+)(?:\?|$)/.exec(address)?.[1]) || 0;

function likely() {
  const rows = [...document.querySelectorAll("#list .item > a")];
  const at = rows.findIndex((row) => row === document.activeElement);
  const here = at < 0 ? rows.findIndex((row) => row.closest("[aria-current]")) : at;
  const near = at < 0 ? [rows[here + 1], rows[here - 1]] : [rows[at], rows[at + 1]];
  const links = at < 0 ? [document.querySelector("a#next"), ...near] : near;
  return links.filter(Boolean).map(place).filter((address) => itemOf(address) && address !== location.pathname + location.search);
}

async function ask(address) {
  leaving = new AbortController();
  const headers = { "HX-Request": "true", "HX-Boosted": "true", "X-Ahead": "1", Accept: "text/html" };
  try {
    const answer = await fetch(address, { headers, redirect: "manual", signal: leaving.signal });
    if (!answer.ok) return null;
    await answer.clone().arrayBuffer(); // all of it is here
    return answer;
  } catch {
    return null; // whoever wants it asks again
  }
}

async function look() {
  if (asked || document.hidden || offline() || !document.getElementById("desk")) return;
  const address = likely().find((one) => !(Date.now() - kept.get(one)?.at < FRESH));
  if (!address) return;
  asked = address;
  const page = ask(address);
  const entry = { item: itemOf(address), at: Date.now(), page };
  kept.delete(address);
  kept.set(address, entry);
  for (const old of [...kept.keys()].slice(0, -MOST)) kept.delete(old);
  const came = await page;
  asked = "";
  if (!came) kept.set(address, { ...entry, page: Promise.resolve(null) }); // not again before it would be stale
  soon();
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(look, PAUSE);
}

document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  const { method, action } = ctx.request;
  if (method !== "GET") return kept.clear(); // what it does may stand on any page
  if (!ctx.sourceElement?.matches?.("a[href]")) return;
  const address = place({ href: action });
  const ahead = kept.get(address);
  if (asked && asked !== address) leaving.abort(); // the person's own request comes first
  if (!ahead || Date.now() - ahead.at > FRESH) return;
  kept.delete(address);
  ctx.fetch = async (where, how) => {
    const page = await ahead.page;
    if (page) shown = ctx;
    return page ?? fetch(where, how);
  };
});
document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  if (ctx !== shown) return;
  shown = null;
  document.dispatchEvent(new CustomEvent("careline:stale"));
});
document.addEventListener("careline:heard", ({ detail }) => {
  const mine = "agents" in detail && (detail.agents === null || detail.agents.includes(Number(document.getElementById("page").dataset.me)));
  for (const [address, { item }] of kept)
    if (detail.all || mine || ("items" in detail && (detail.items === null || detail.items.includes(item)))) kept.delete(address);
});
let drawn = location.href;
document.addEventListener("careline:swapped", () => {
  if (drawn !== location.href) soon(); // live parts do not count
  drawn = location.href;
});
document.addEventListener("focusin", ({ target }) => target.closest?.("#list .item") && soon());
document.addEventListener("focusout", ({ target }) => target.closest?.("[data-composer]") && soon());
soon();
