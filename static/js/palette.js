// The palette: every action that is possible now, every page, one's items, saved replies; what does not fit is looked for.
import { chosen, first, mark, moved } from "./choose.js";
import { perform, possible } from "./keys.js";
import { insert } from "./saved.js";

const IME = 229;
const layer = () => document.getElementById("palette");
const input = () => layer().querySelector("input");
const list = () => document.getElementById("palette-list");
const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().trim();

let known = "";

async function load() {
  const item = document.getElementById("desk")?.dataset.item ?? "";
  if (known !== `${item}@${location.pathname}`) list().replaceChildren();
  const answer = await fetch(`/palette?item=${item || 0}`).catch(() => null);
  if (!answer?.ok) return;
  known = `${item}@${location.pathname}`;
  list().innerHTML = await answer.text();
  htmx.process(list());
  for (const option of list().children) {
    option.words = fold(option.querySelector("span:not(.ch, .vh)").textContent + " " + (option.querySelector(".d")?.textContent ?? ""));
    option.off = (option.dataset.do && !(option.dataset.do === "text" ? document.querySelector("[data-draft]") : possible(option.dataset))) || null;
  }
  order = [...list().children];
  filter();
}

let order = [];
let people = []; // customers who are called so: the server knows
let named = "";
let soon = 0;

async function look() {
  const typed = input().value.trim();
  const answer = typed && (await fetch(`/palette/people?q=${encodeURIComponent(typed)}`).catch(() => null));
  const found = answer?.ok ? await answer.text() : "";
  if (typed !== input().value.trim()) return; // there is a newer question
  const before = chosen(list());
  for (const option of people) option.remove();
  list().insertAdjacentHTML("beforeend", found);
  people = [...list().querySelectorAll("[id^=pal-person-]")];
  for (const option of people) option.words = fold(option.textContent);
  named = typed;
  htmx.process(list());
  filter();
  if (before && !before.hidden && !before.dataset.search) mark(input(), list(), before);
}

function score(words, asked) {
  if (!asked || words.startsWith(asked)) return 0;
  if (` ${words}`.includes(` ${asked}`)) return 1;
  if (asked.split(" ").every((word) => words.includes(word))) return 2;
  let at = -1;
  for (const letter of asked.replaceAll(" ", "")) {
    at = words.indexOf(letter, at + 1);
    if (at < 0) return null;
  }
  return 3;
}

function filter() {
  const typed = input().value.trim();
  const asked = fold(typed);
  const ranked = [...order, ...people].map((option, place) => ({ option, place, rank: option.off ? null : option.dataset.search ? 4 : score(option.words, asked) ?? (typed === named && people.includes(option) ? 3 : null) }));
  for (const { option, rank } of ranked) option.hidden = rank === null || (option.dataset.search && !typed);
  ranked.sort((one, other) => (one.rank ?? 9) - (other.rank ?? 9) || one.place - other.place);
  list().append(...ranked.map(({ option }) => option));
  const search = list().querySelector("[data-search]");
  if (search) {
    search.querySelector("span").textContent = search.dataset.search.replace("{q}", typed);
    search.href = `/search?q=${encodeURIComponent(typed)}`;
  }
  first(input(), list());
  const count = layer().querySelector("[data-count]");
  count.textContent = count.dataset.words.replace("{n}", String(ranked.filter(({ option }) => !option.hidden).length));
}

function take(option) {
  layer().hidePopover();
  if (option.dataset.do === "text") insert(option.dataset.text, option.dataset.to);
  else if (option.dataset.do) perform(option.dataset);
  else option.click();
}

// "toggle" comes a moment after the palette is open, when somebody may have begun to type.
document.addEventListener("beforetoggle", ({ target, newState }) => {
  if (target.id === "palette" && newState === "open") input().value = "";
}, { capture: true });
document.addEventListener("toggle", ({ target, newState }) => {
  if (target.id !== "palette" || newState !== "open") return;
  input().focus();
  if (order.length) filter();
  load();
}, { capture: true });
document.addEventListener("input", ({ target }) => {
  if (!target.closest?.("#palette")) return;
  filter();
  clearTimeout(soon);
  soon = setTimeout(look, 120);
});
document.addEventListener("keydown", (event) => {
  if (!event.isComposing && event.keyCode !== IME && event.target.closest?.("#palette")) moved(event, input(), list(), take);
});
document.addEventListener("click", (event) => {
  const option = event.isTrusted && event.target.closest?.("#palette-list [data-do]");
  if (option) take(option);
  else if (event.isTrusted && event.target.closest?.("#palette-list a")) layer().hidePopover();
});
