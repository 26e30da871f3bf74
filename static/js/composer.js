// The composer: the channel's own count, the kind of message, and a draft that is saved as one writes.
import { toast } from "./toasts.js";

const PAUSE = 800;
const LINK = /(?<![\p{L}\p{N}_@/])https?:\/\/[^\s<>"\p{C}]*[^\s<>"\p{C}.,:;!?'\u2019”»…-]/giu;
const REMOTE = /(?<![=/\w])(@\w(?:[\w.-]{0,200}\w)?)@[\w.:-]{0,250}\w/g;
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

const composer = () => document.querySelector("[data-composer]");
const field = (form) => form.elements.namedItem("text");
const mode = (form) => form.elements.namedItem("visibility").value;

// Mirrors app/connectors/length.py; the server counts again when a draft is saved and when a reply is sent.
function length(text, rule) {
  if (rule === "characters") return [...text].length;
  const counted = rule === "mastodon" ? text.replace(LINK, "x".repeat(23)).replace(REMOTE, "$1") : text;
  return [...graphemes.segment(counted)].length;
}

function room(form) {
  const whole = form.dataset.lead + field(form).value.trim();
  const rooms = [];
  if (form.dataset.limit) rooms.push(Number(form.dataset.limit) - length(whole, form.dataset.rule));
  if (form.dataset.bytes) rooms.push(Number(form.dataset.bytes) - new TextEncoder().encode(whole).length);
  return rooms.length ? Math.min(...rooms) : null;
}

function show(form, left = room(form)) {
  const note = mode(form) === "note";
  const over = !note && left !== null && left < 0;
  const counter = form.querySelector(".counter");
  const ring = counter.querySelector("svg");
  const limit = Number(form.dataset.limit);
  form.dataset.mode = mode(form);
  counter.dataset.state = over ? "over" : "ok";
  counter.hidden = note || left === null;
  ring.toggleAttribute("hidden", over || !limit);
  const used = limit ? Math.min(100, Math.max(0, ((limit - left) / limit) * 100)) : 0;
  ring.querySelector(".val").setAttribute("stroke-dasharray", `${used} 100`);
  counter.querySelector("[data-count]").textContent = over
    ? form.dataset.wordsOver.replace("{n}", String(-left))
    : limit && left !== null
      ? form.dataset.wordsOf.replace("{n}", String(limit - left)).replace("{limit}", String(limit))
      : "";
  const empty = !field(form).value.trim();
  for (const button of form.querySelectorAll("[data-send], [data-send-close]")) {
    button.disabled = over || empty;
    if ("sendClose" in button.dataset) button.hidden = note;
  }
  form.querySelector("[data-send-more]")?.toggleAttribute("hidden", note);
  const word = form.querySelector("[data-send-word]");
  if (word) {
    word.dataset.usual ??= word.textContent;
    word.textContent = note ? word.dataset.note : word.dataset.usual;
  }
}

let timer;
let unsaved = false;

async function save(form) {
  clearTimeout(timer);
  if (!unsaved || !form.isConnected) return;
  unsaved = false;
  const body = new URLSearchParams({ text: field(form).value, visibility: mode(form), key: form.elements.namedItem("key").value });
  if (form.dataset.version) body.set("seen", form.dataset.version);
  const line = form.querySelector("[data-unsaved]");
  try {
    const headers = { "X-CSRF": document.querySelector('meta[name="csrf"]').content, Accept: "application/json" };
    const answer = await fetch(`/items/${form.dataset.item}/draft`, { method: "PUT", headers, body, keepalive: true });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error?.message);
    form.dataset.version = told.version;
    line.textContent = "";
    if (mode(form) !== "note" && !unsaved) show(form, told.left);
  } catch (error) {
    if (!form.isConnected) return;
    unsaved = true;
    line.textContent = form.dataset.wordsUnsaved;
    if (error.message && form.isConnected && !(error instanceof TypeError)) toast(error.message);
  }
}

document.addEventListener("input", ({ target }) => {
  const form = target.closest?.("[data-composer]");
  if (!form) return;
  unsaved = true;
  show(form);
  clearTimeout(timer);
  timer = setTimeout(() => save(form), PAUSE);
});
document.addEventListener("focusout", ({ target }) => {
  const form = target.closest?.("[data-composer]");
  if (form && target === field(form)) save(form);
});
document.addEventListener("submit", ({ target }) => {
  if (!target.matches("[data-composer]")) return;
  clearTimeout(timer);
  unsaved = false;
}, true);
// A composer may be replaced while somebody writes in it (they claimed the item, it was taken away): what they wrote goes on.
let left = null;
document.addEventListener("htmx:before:swap", ({ detail }) => {
  const form = composer();
  const undone = detail.ctx?.sourceElement?.matches?.("[data-undo]") ?? false;
  const inField = form && document.activeElement === field(form);
  left = form && unsaved ? { form, text: field(form).value, kind: mode(form), inField, undone, at: field(form).selectionEnd } : null;
});
function carry(form) {
  if (!left || left.form === form || left.form.dataset.item !== form.dataset.item) return;
  if (left.undone && field(form).value) left.text = [field(form).value, left.text].filter(Boolean).join("\n\n");
  const choice = form.querySelector(`input[type="radio"][value="${left.kind}"]`);
  if (choice) choice.checked = true;
  field(form).value = left.text;
  if (left.inField) {
    field(form).focus();
    field(form).setSelectionRange(left.at, left.at);
  }
  unsaved = true;
  clearTimeout(timer);
  timer = setTimeout(() => save(form), PAUSE);
}
document.addEventListener("visibilitychange", () => document.hidden && composer() && save(composer()));
document.addEventListener("careline:swapped", () => {
  const form = composer();
  if (!form) return;
  carry(form);
  left = null;
  show(form);
});

export function write(kind) {
  const form = composer();
  if (!form) return false;
  const choices = [...form.querySelectorAll('input[type="radio"][name="visibility"]')];
  const wanted = kind === "public" ? choices.find(({ value }) => value !== "direct" && value !== "note") : choices.find(({ value }) => value === kind);
  if (choices.length && !wanted) return false;
  if (wanted && !wanted.checked) {
    wanted.checked = true;
    wanted.dispatchEvent(new Event("input", { bubbles: true }));
  }
  field(form).focus();
  return true;
}

if (composer()) show(composer());
