// Saved replies: "/" in the composer opens the picker, Enter puts the text where the caret stands, Tab goes to the next
// blank. What is still to be filled in is said below the text, and is not sent.
import { chosen, first, moved } from "./choose.js";
import { toast } from "./toasts.js";

const PAUSE = 120;
const BLANK = /\{\p{L}[\p{L}\p{N}_. -]{0,58}\}/gu; // app/flow/placeholders.py
const IME = 229;
const $ = (selector) => document.querySelector(selector);
const picker = () => $("[data-saved]");
const search = (layer) => layer.querySelector("input");
const list = (layer) => layer.querySelector("[role=listbox]");
const draft = () => $("[data-draft]");
const noted = (form) => form.elements.namedItem("visibility")?.value === "note";

let timer;
let asked = 0;

async function ask(layer) {
  const mine = ++asked;
  const answer = await fetch(`${layer.dataset.saved}?q=${encodeURIComponent(search(layer).value)}`).catch(() => null);
  if (!answer?.ok || mine !== asked) return;
  list(layer).innerHTML = await answer.text();
  first(search(layer), list(layer));
  preview(layer);
}

function preview(layer) {
  const option = chosen(list(layer));
  const line = layer.querySelector(".preview");
  line.hidden = !option;
  if (!option) return;
  line.lang = option.dataset.lang ?? "";
  line.replaceChildren(...marked(option.dataset.text));
}

function marked(text) {
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(BLANK)) {
    const blank = document.createElement("mark");
    blank.textContent = found[0];
    parts.push(text.slice(at, found.index), blank);
    at = found.index + found[0].length;
  }
  return [...parts, text.slice(at)];
}

export function pick() {
  const layer = picker();
  const field = draft();
  if (!layer || !field) return false;
  field.focus();
  search(layer).value = "";
  layer.showPopover();
  search(layer).focus();
  ask(layer);
}

function put(text) {
  const field = draft();
  field.focus();
  const from = field.selectionStart;
  // Keeps what Ctrl Z takes back; the newer way of writing into a field does not.
  if (!document.execCommand("insertText", false, text)) {
    field.setRangeText(text, from, field.selectionEnd, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  next(field, from);
}

function take(option) {
  picker().hidePopover();
  insert(option.dataset.text, option.dataset.id);
}

export function insert(text, id) {
  put(text);
  const headers = { "X-CSRF": $('meta[name="csrf"]').content };
  fetch(`/saved/${id}/uses`, { method: "POST", headers, keepalive: true }).catch(() => null);
}

function next(field, from) {
  const found = [...field.value.matchAll(BLANK)].find(({ index }) => index >= from);
  if (found) field.setSelectionRange(found.index, found.index + found[0].length);
  return Boolean(found);
}

function tell() {
  const line = $("[data-blanks]");
  const field = draft();
  if (!line || !field) return;
  const left = noted(field.form) ? [] : [...new Set(field.value.match(BLANK))];
  line.hidden = !left.length;
  const words = left.length ? line.dataset.words.replace("{blanks}", left.join(", ")) : "";
  if (line.textContent !== words) line.replaceChildren(...marked(words));
}

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.keyCode === IME) return;
  const { target } = event;
  const layer = target.closest?.("[data-saved]");
  if (layer && target === search(layer)) {
    if (event.key === "/" && !target.value) {
      event.preventDefault();
      layer.hidePopover();
      put("/");
    } else if (moved(event, target, list(layer), take)) preview(layer);
    return;
  }
  if (!target.matches?.("[data-draft]") || event.ctrlKey || event.metaKey || event.altKey) return;
  const { selectionStart: from, selectionEnd: to, value } = target;
  if (event.key === "/" && picker() && /^$|\s$/.test(value.slice(0, from))) {
    event.preventDefault();
    pick();
  } else if (event.key === "Tab" && !event.shiftKey && from < to && value.slice(from, to).replace(BLANK, "") === "" && next(target, to)) event.preventDefault();
});
document.addEventListener("input", ({ target }) => {
  tell();
  const layer = target.closest?.("[data-saved]");
  if (!layer) return;
  clearTimeout(timer);
  timer = setTimeout(() => ask(layer), PAUSE);
});
document.addEventListener("click", ({ target }) => {
  const option = target.closest?.("[data-saved] [role=option]");
  if (option) take(option);
});
addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-composer]") || noted(form)) return;
  const field = draft();
  if (!field.value.match(BLANK)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  tell();
  toast($("[data-blanks]").textContent);
  field.focus();
  next(field, 0);
}, { capture: true });
document.addEventListener("careline:swapped", tell);
tell();
