// Keys. Which key does what stands in one table, app/web/keys.py; it comes with each page as the sheet behind "?", and
// here is what its words mean. Single keys work outside of fields, never while an input method composes, not behind a
// dialog, and can be switched off (WCAG 2.1.4).
import { write } from "./composer.js";
import { pick } from "./saved.js";

const PAUSE = 1_000; // between the two strokes of a key such as "g d"
const IME = 229; // the keyCode of a key that an input method took
const $ = (selector) => document.querySelector(selector);
const on = () => $("#keys").dataset.keys === "on";
const writes = (target) => target.closest?.("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]");
const dialog = () => $("[role=dialog]:popover-open, dialog[open]");

const ACTS = {
  press(selector) {
    const all = [...document.querySelectorAll(selector)];
    const found = all.find((one) => one.checkVisibility()) ?? all.find((one) => one.closest("[popover]")); // of a shut menu
    if (!found || found.disabled) return false;
    if (found.hasAttribute("popovertarget")) open(found);
    else found.click();
  },
  go(address) {
    const link = document.querySelector(`.mainnav a[href="${address}"]`) ?? $(`a[href="${address}"]`);
    if (link) link.click();
    else location.assign(address);
  },
  step(by) {
    const links = [...document.querySelectorAll("#list .item > a")];
    if (!links.length) return false;
    const here = links.findIndex((link) => link === document.activeElement || (document.activeElement === document.body && link.closest("[aria-current]")));
    const next = links[Math.min(links.length - 1, Math.max(0, here < 0 ? 0 : here + Number(by)))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  },
  focus(selector) {
    const field = $(selector);
    if (!field?.checkVisibility()) return false;
    field.focus();
  },
  claim() {
    const button = document.activeElement?.closest?.(".item")?.querySelector(".claim") ?? $("#claim");
    if (!button) return false;
    button.click();
  },
  pane(by) {
    const panes = ["#rail a[aria-current], #rail a", "#list .item[aria-current] > a, #list .item > a, #list-scroll", "#thread", "#context-scroll"]
      .map($).filter((one) => one?.checkVisibility());
    const here = panes.findIndex((one) => one.closest("#rail, #list, #conversation, #context")?.contains(document.activeElement));
    panes[(here + Number(by) + panes.length) % panes.length]?.focus();
  },
  customer() {
    const link = $("#customer-link");
    if (link?.checkVisibility()) link.click();
    else $("#context-scroll")?.focus();
  },
  write,
  saved: () => pick(),
  send(selector, { target }) {
    if (!target.closest?.("[data-composer]")) return false;
    const button = $(selector);
    if (button && !button.disabled && !button.hidden) button.form.requestSubmit(button);
  },
  undo(_to, { target }) {
    const form = $("[data-undo]");
    if (!form || writes(target)?.value) return false;
    form.requestSubmit();
  },
  layer(selector) {
    const layer = $(selector);
    if (!layer) return false;
    layer.togglePopover();
  },
};
const HELD = new Set(["step", "pane"]); // go on while the key is held down

// Whether an action could be carried out on the page as it is.
export function possible({ do: act, to }) {
  if (act === "press") return [...document.querySelectorAll(to)].some((one) => !one.disabled && (one.checkVisibility() || one.closest("[popover]")));
  if (act === "write" || act === "send" || act === "saved") return Boolean($("[data-composer]"));
  const place = { focus: to, claim: "#claim", customer: "#context", undo: "[data-undo]", layer: to }[act];
  return !place || Boolean($(place));
}

export function perform({ do: act, to }) {
  ACTS[act](to, { target: act === "send" ? $("[data-draft]") : document.body });
}

function open(button) {
  const layer = document.getElementById(button.getAttribute("popovertarget"));
  layer.showPopover({ source: button });
  layer.querySelector(".opt")?.focus();
}

// The key as the table writes it. What a layout needs Shift or AltGr for is the character itself; a letter of another
// script is the Latin one in its place.
export function stroke(event) {
  const foreign = event.key.length === 1 && event.key > "~" && /^(?:Key|Digit)(.)$/.exec(event.code);
  const key = foreign ? foreign[1] : event.key;
  const plain = key.length === 1 && !/[a-z]/i.test(key);
  const graph = event.getModifierState("AltGraph");
  const held = [
    (event.ctrlKey || event.metaKey) && !graph && "Mod",
    event.altKey && !graph && !plain && "Alt",
    event.shiftKey && !plain && "Shift",
  ].filter(Boolean);
  return [...held, key === " " ? "Space" : key.length === 1 ? key.toLowerCase() : key].join("+");
}

let table = new Map();
let begun = "";
let timer;

function read() {
  table = new Map([...document.querySelectorAll("#keys [data-chord]")].map((row) => [row.dataset.chord, row.dataset]));
}

function found(key) {
  clearTimeout(timer);
  const chord = begun && table.has(`${begun} ${key}`) ? `${begun} ${key}` : key;
  begun = "";
  if (!table.has(chord) && [...table.keys()].some((one) => one.startsWith(`${chord} `))) {
    begun = chord;
    timer = setTimeout(() => { begun = ""; }, PAUSE);
  }
  return table.get(chord);
}

function choose(digit) {
  const layer = [...document.querySelectorAll(":popover-open")].at(-1);
  const option = layer && [...layer.querySelectorAll(".opt")].find((one) => one.querySelector("kbd")?.textContent === digit);
  option?.click();
  return Boolean(option);
}

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.keyCode === IME || !event.key || !$("#keys")) return;
  const key = stroke(event);
  if (["Shift", "Control", "Alt", "Meta", "AltGraph"].includes(event.key)) return;
  if (key === "Escape") return dialog() ? undefined : writes(event.target)?.blur();
  const single = !/^(?:Mod|Alt)\+|^(?:Shift\+)?[A-Z]\w+$/.test(key);
  if (single && (writes(event.target) || !on())) return;
  if (/^\d$/.test(key) && choose(key)) return event.preventDefault();
  const action = found(key);
  if (!action || (event.repeat && !HELD.has(action.do)) || (dialog() && action.do !== "layer")) return;
  if (ACTS[action.do](action.to, event) !== false) event.preventDefault();
});

// On the page of one's own keys, a field takes the key that is pressed in it; two quick strokes are one key.
addEventListener("keydown", (event) => {
  const field = event.target.closest?.("[data-key-field]");
  if (!field || event.isComposing || event.keyCode === IME) return;
  const key = stroke(event);
  if (/^(?:Shift\+)?Tab$|^Enter$|^Escape$|(?:Shift|Control|Alt|Meta|AltGraph)$/.test(key)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const first = field.dataset.begun;
  field.value = /^(?:Backspace|Delete)$/.test(key) ? "" : first ? `${first} ${key}` : key;
  clearTimeout(timer);
  delete field.dataset.begun;
  if (!first && field.value.length === 1) field.dataset.begun = key;
  timer = setTimeout(() => delete field.dataset.begun, PAUSE);
}, { capture: true });

document.addEventListener("careline:swapped", read);
read();
