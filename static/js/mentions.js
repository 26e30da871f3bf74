// "@" in a note proposes colleagues: arrows choose, Enter or Tab takes, Escape leaves it. Nothing happens while an input
// method composes, nor in a reply: there an @ belongs to the channel.
const PAUSE = 120;
const WORD = /(?:^|[\s(])@([\p{L}\p{N}][\p{L}\p{N} .'_-]{0,30}|)$/u;

let box = null; // the list of proposals
let field = null;
let timer;
let asked = 0;

function before() {
  const form = field.closest("[data-composer]");
  if (form?.dataset.mode !== "note" || field.selectionStart !== field.selectionEnd) return null;
  return field.value.slice(0, field.selectionEnd).match(WORD);
}

function shut() {
  asked += 1;
  box?.remove();
  box = null;
  if (!field) return;
  for (const name of ["role", "aria-expanded", "aria-controls", "aria-activedescendant", "aria-autocomplete"]) field.removeAttribute(name);
}

function mark(option) {
  for (const one of box.children) one.toggleAttribute("data-active", one === option);
  for (const one of box.children) one.setAttribute("aria-selected", String(one === option));
  field.setAttribute("aria-activedescendant", option.id);
  option.scrollIntoView({ block: "nearest" });
}

function take(option) {
  const found = before();
  if (!found) return shut();
  const end = field.selectionEnd;
  field.setRangeText(`${option.dataset.name} `, end - found[1].length, end, "end");
  shut();
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

async function propose() {
  const found = field && before();
  if (!found) return shut();
  const mine = ++asked;
  const form = field.closest("[data-composer]");
  const answer = await fetch(`/items/${form.dataset.item}/colleagues?only=names&q=${encodeURIComponent(found[1])}`, { headers: { "HX-Request": "true" } }).catch(() => null);
  const text = answer?.ok ? await answer.text() : "";
  if (mine !== asked || !field.isConnected) return;
  if (!text.trim()) return shut();
  if (!box) {
    box = document.createElement("ul");
    box.id = "mentions";
    box.className = "menu mentions";
    box.role = "listbox";
    box.addEventListener("mousedown", (event) => {
      event.preventDefault();
      const option = event.target.closest(".opt");
      if (option) take(option);
    });
    form.append(box);
    field.role = "combobox";
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-expanded", "true");
    field.setAttribute("aria-controls", "mentions");
  }
  box.innerHTML = text;
  mark(box.firstElementChild);
}

document.addEventListener("input", (event) => {
  if (!event.target.matches?.("[data-draft]") || event.isComposing) return;
  field = event.target;
  clearTimeout(timer);
  if (!before()) return shut();
  timer = setTimeout(propose, PAUSE);
});
document.addEventListener("keydown", (event) => {
  if (!box || event.target !== field || event.isComposing) return;
  const active = box.querySelector("[data-active]");
  const next = { ArrowDown: active.nextElementSibling ?? box.firstElementChild, ArrowUp: active.previousElementSibling ?? box.lastElementChild }[event.key];
  if (next) mark(next);
  else if ((event.key === "Enter" || event.key === "Tab") && !event.ctrlKey && !event.metaKey && !event.shiftKey) take(active);
  else if (event.key === "Escape") shut();
  else return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);
document.addEventListener("focusout", ({ target }) => target === field && shut());

// The composer may be drawn anew while proposals are open (drafts.js carries the text over): they open again in its place.
let open = null;
document.addEventListener("htmx:before:swap", () => {
  if (box) open = { text: field.value, at: field.selectionEnd };
});
document.addEventListener("careline:swapped", () => {
  const next = document.querySelector("[data-draft]");
  if (open && next && next !== field && next.value === open.text) {
    shut();
    field = next;
    field.focus();
    field.setSelectionRange(open.at, open.at);
    propose();
  }
  open = null;
});
