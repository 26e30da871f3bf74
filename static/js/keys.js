// Keys, as the sheet behind "?" lists them. Single letters work outside of fields, never while an input method
// composes, and can be switched off (WCAG 2.1.4).
import { tinykeys } from "../vendor/tinykeys.js";
import { write } from "./composer.js";

const SWITCH = "careline-keys";
const $ = (selector) => document.querySelector(selector);
const typing = (target) => target.closest?.("input:not([type=radio]), textarea, select, [contenteditable]");
const on = () => localStorage.getItem(SWITCH) !== "off";

function single(act) {
  return (event) => {
    if (event.isComposing || event.repeat || typing(event.target) || !on()) return;
    if (act(event) !== false) event.preventDefault();
  };
}
const press = (selector) => single(() => {
  const all = [...document.querySelectorAll(selector)];
  const found = all.find((one) => one.checkVisibility()) ?? all.find((one) => one.closest("[popover]")); // of a shut menu
  if (!found || found.disabled) return false;
  if (found.hasAttribute("popovertarget")) open(found);
  else found.click();
});
const go = (address) => single(() => ($(`.mainnav a[href="${address}"]`) ?? $(`.rail a[href="${address}"]`))?.click());

function open(button) {
  const layer = document.getElementById(button.getAttribute("popovertarget"));
  layer.showPopover({ source: button });
  layer.querySelector(".opt")?.focus();
}

function step(by) {
  const links = [...document.querySelectorAll("#list .item > a")];
  if (!links.length) return false;
  const here = links.findIndex((link) => link === document.activeElement || (document.activeElement === document.body && link.closest("[aria-current]")));
  const next = links[Math.min(links.length - 1, Math.max(0, here < 0 ? 0 : here + by))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

function claim() {
  const focused = document.activeElement?.closest?.(".item")?.querySelector(".claim");
  const button = focused ?? $("#claim");
  if (!button) return false;
  button.click();
}

function choose(event) {
  const layer = [...document.querySelectorAll(":popover-open")].at(-1);
  const option = layer && [...layer.querySelectorAll(".opt")].find((one) => one.querySelector("kbd")?.textContent === event.key);
  if (!option) return false;
  option.click();
}

function pane(by) {
  const panes = ["#rail a[aria-current], #rail a", "#list .item[aria-current] > a, #list .item > a, #list-scroll", "#thread", "#context-scroll"]
    .map($).filter((one) => one?.checkVisibility());
  const here = panes.findIndex((one) => one.closest("#rail, #list, #conversation, #context")?.contains(document.activeElement));
  panes[(here + by + panes.length) % panes.length]?.focus();
}

function send(selector) {
  return (event) => {
    if (event.isComposing || !event.target.closest?.("[data-composer]")) return;
    event.preventDefault();
    const button = $(selector);
    if (button && !button.disabled && !button.hidden) button.form.requestSubmit(button);
  };
}

function undo(event) {
  const form = $("[data-undo]");
  const field = typing(event.target);
  if (!form || (field && field.value)) return;
  event.preventDefault();
  form.requestSubmit();
}

function sheet() {
  $("#keys")?.togglePopover();
}

tinykeys(window, {
  j: single(() => step(1)),
  k: single(() => step(-1)),
  c: single(claim),
  a: press("#accept, #bar-accept"),
  d: press("#decline, #bar-decline"),
  r: single(() => write("public")),
  p: single(() => write("direct")),
  n: single(() => write("note")),
  z: press("#park"),
  i: single(() => ($("#customer-link")?.checkVisibility() ? $("#customer-link").click() : $("#context-scroll")?.focus())),
  "Shift+R": press("#go-ready"),
  "Shift+W": press('#wrap-up, [data-key="wrap-up"]'),
  "#": press("#close"),
  "Shift+#": press("#close"),
  "AltGraph+#": press("#close"),
  "?": single(sheet),
  "Shift+?": single(sheet),
  ".": single(() => $("[data-list-news]")?.click()),
  "[": single(() => pane(-1)),
  "]": single(() => pane(1)),
  "g d": go("/desk"),
  "g b": go("/board"),
  "g s": go("/admin"),
  "(1|2|3|4|5|6)": single(choose),
  "Control+Enter": send("[data-send]"),
  "Meta+Enter": send("[data-send]"),
  "Shift+Enter": send("[data-send-close]"),
  "Control+z": undo,
  "Meta+z": undo,
  Escape: (event) => typing(event.target)?.blur(),
});

function label() {
  for (const button of document.querySelectorAll("[data-keys-switch]")) {
    button.hidden = false;
    button.textContent = on() ? button.dataset.on : button.dataset.off;
  }
}
document.addEventListener("click", ({ target }) => {
  if (!target.closest("[data-keys-switch]")) return;
  localStorage.setItem(SWITCH, on() ? "off" : "on");
  label();
});
document.addEventListener("careline:swapped", label);
label();
