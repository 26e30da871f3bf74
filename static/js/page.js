// Around each swap: open layers close when the page changes, the thread stays at its end, focus is never lost.
import { say } from "./notice.js";
const thread = () => document.getElementById("thread");
const opened = () => document.getElementById("desk")?.dataset.item;
const asked = () => document.querySelector("[data-draft][autofocus]");
const NEAR = 48;

let before = { item: opened(), atEnd: true, inComposer: false, below: null, focused: "" };

function remember(source) {
  const box = thread();
  before = {
    below: source?.matches?.("[data-older]") ? box.scrollHeight - box.scrollTop : null,
    item: opened(),
    focused: document.activeElement?.id,
    atEnd: !box || box.scrollHeight - box.scrollTop - box.clientHeight < NEAR,
    inComposer: Boolean(document.activeElement?.closest?.("[data-composer]")),
    asked: asked(),
  };
}

function settle() {
  const box = thread();
  if (before.below !== null) box.scrollTop = box.scrollHeight - before.below; // older posts came above
  else if (box && (before.atEnd || before.item !== opened())) box.scrollTop = box.scrollHeight;
  if (asked() !== before.asked) asked()?.focus(); // a sent reply was opened for editing
  if (document.activeElement && document.activeElement !== document.body) return;
  const row = document.querySelector(".item[aria-current] a") ?? document.getElementById("list-scroll"); // where nothing is open, j goes on from there
  if (before.inComposer) (document.querySelector("[data-draft]") ?? row)?.focus();
  else if (before.item !== opened()) row?.focus({ preventScroll: true });
  else if (before.focused) document.getElementById(before.focused)?.focus({ preventScroll: true }); // what took its place
}

// What was open when a page was asked for closes when it comes; what somebody opened since stays.
let open = [];
document.addEventListener("htmx:before:request", (event) => {
  if (event.detail.ctx?.sourceElement?._htmx?.boosted) open = [...document.querySelectorAll(":popover-open")];
});
document.addEventListener("htmx:before:swap", (event) => {
  remember(event.detail.ctx?.sourceElement);
  if (event.detail.ctx?.sourceElement?._htmx?.boosted && event.detail.ctx.response?.status < 400)
    for (const layer of open) if (layer.isConnected) layer.hidePopover();
});
// On a phone the places of the setup are one line that scrolls: the current one is in sight.
const place = () => document.querySelector(".subnav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
let shown = location.pathname;

document.addEventListener("htmx:after:swap", () => {
  settle();
  if (shown !== location.pathname) {
    place();
    if (document.activeElement === document.body) document.querySelector("main [autofocus]")?.focus(); // the browser minds it on a first page alone
  }
  shown = location.pathname;
  document.dispatchEvent(new CustomEvent("careline:swapped"));
});
document.addEventListener("htmx:response:error", (event) => {
  if (event.detail.ctx?.response?.status === 409) document.dispatchEvent(new CustomEvent("careline:refresh"));
});

if (thread()) thread().scrollTop = thread().scrollHeight;
place();
// A picture that its server does not give: a word instead of a broken mark.
document.addEventListener("error", ({ target }) => {
  if (!target.dataset?.picture) return;
  target.parentElement.dataset.broken = target.dataset.picture;
  target.hidden = true;
}, true);

// Addresses that are pasted elsewhere have a button that copies them.
document.addEventListener("click", async ({ target }) => {
  const button = target.closest?.("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  field.select();
  await navigator.clipboard?.writeText(field.value);
  say(button.dataset.copied);
});
