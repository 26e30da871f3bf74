// Drafts: saved within a second of the first key, told when another window saved something else, carried over when the
// composer is replaced under somebody's hands.
import { composer, field, mode, show } from "./composer.js";
import { toast } from "./toasts.js";

const PAUSE = 800; // after the first unsaved key, however long somebody types on
const AGAIN = 3_000;

const same = (one, other) => one.dataset.draftAt === other.dataset.draftAt; // what they save is one draft

let timer;
let unsaved = false;
let saving = 0; // how many saves are on their way
let going = null; // the form that is on its way: an answer to an earlier save says nothing new
let told = null; // what another window saved, while the person has not chosen yet

// One question to the server at a time: what is saved and what is attached must not overtake each other.
let line = Promise.resolve();
export const inTurn = (ask) => (line = line.then(ask, ask));

function soon(form, wait = PAUSE) {
  unsaved = true;
  timer ??= setTimeout(() => save(form), wait);
}

function settled() {
  clearTimeout(timer);
  timer = undefined;
  unsaved = false;
}

function save(form) {
  if (!unsaved || told) return;
  settled();
  inTurn(() => keep(form));
}

async function keep(form) {
  if (form === going || told) return;
  saving += 1;
  const body = new URLSearchParams(new FormData(form));
  for (const name of ["csrf", "list", "picture"]) body.delete(name);
  if (form.dataset.version) body.set("seen", form.dataset.version);
  const line = form.querySelector("[data-unsaved]");
  const headers = { "X-CSRF": document.querySelector('meta[name="csrf"]').content, Accept: "application/json" };
  try {
    const answer = await fetch(form.dataset.draftAt, { method: "PUT", headers, body, keepalive: true });
    if (answer.status === 401) {
      document.dispatchEvent(new CustomEvent("careline:signed-out"));
      throw new TypeError("signed out"); // tried again, as when there is no connection
    }
    const said = await answer.json();
    if (answer.status === 409 && said.html && form.isConnected && form !== going) return ask(form, said);
    if (!answer.ok) throw new Error(said.error?.message);
    for (const one of [form, composer()]) if (one && same(one, form)) one.dataset.version = said.version;
    line.textContent = "";
    if (mode(form) === "note" || unsaved) return;
    form.dataset.posts = said.posts;
    show(form, said.left);
  } catch (error) {
    if (!form.isConnected || form === going) return;
    line.textContent = form.dataset.wordsUnsaved;
    if (error instanceof TypeError) soon(form, AGAIN);
    else if (error.message) toast(error.message);
  } finally {
    saving -= 1;
  }
}

function ask(form, said) {
  told = said;
  unsaved = true;
  const box = form.querySelector("[data-conflict]");
  box.innerHTML = said.html;
  box.hidden = false;
  form.dataset.undecided = "";
  show(form);
}

function choose(form, which) {
  const { text, version, key } = told;
  told = null;
  form.querySelector("[data-conflict]").hidden = true;
  delete form.dataset.undecided;
  form.dataset.version = version;
  form.elements.namedItem("key").value = key;
  if (which === "theirs") field(form).value = text;
  field(form).focus();
  show(form);
  settled();
  if (which === "theirs") return;
  unsaved = true;
  save(form);
}

document.addEventListener("click", ({ target }) => {
  const choice = target.closest("[data-choose]");
  if (choice) choose(choice.closest("[data-composer]"), choice.dataset.choose);
});
document.addEventListener("input", ({ target }) => {
  const form = target.closest?.("[data-composer]");
  if (!form || target.type === "file") return;
  going = null;
  delete form.dataset.posts;
  show(form);
  soon(form);
});
document.addEventListener("focusout", ({ target }) => {
  const form = target.closest?.("[data-composer]");
  if (form && target === field(form)) save(form);
});
document.addEventListener("submit", ({ target }) => {
  if (!target.matches("[data-composer]")) return;
  settled();
  going = target;
}, true);
document.addEventListener("careline:sent", settled);
document.addEventListener("visibilitychange", () => document.hidden && composer() && save(composer()));

// A composer may be replaced while somebody writes in it (they claimed the item, it was taken away): what they wrote goes on.
let left = null;
document.addEventListener("htmx:before:swap", ({ detail }) => {
  const form = composer();
  const undone = detail.ctx?.sourceElement?.matches?.("[data-undo], [data-plea]") ?? false;
  const inField = form && document.activeElement === field(form);
  left = form && (unsaved || (saving && form !== going)) ? { form, text: field(form).value, kind: mode(form), inField, undone, at: field(form).selectionEnd } : null;
});
function carry(form) {
  if (left.undone && field(form).value) left.text = [field(form).value, left.text].filter(Boolean).join("\n\n");
  const choice = form.querySelector(`input[type="radio"][value="${left.kind}"]`);
  if (choice) choice.checked = true;
  field(form).value = left.text;
  for (const old of left.form.querySelectorAll("[data-picture] textarea")) {
    const now = form.querySelector(`[data-picture="${old.closest("[data-picture]").dataset.picture}"] textarea`);
    if (now) now.value = old.value;
  }
  if (left.inField) {
    field(form).focus();
    field(form).setSelectionRange(left.at, left.at);
  }
  settled();
  soon(form);
}
document.addEventListener("careline:swapped", () => {
  const form = composer();
  if (left && left.form !== form) {
    told = null;
    if (form && same(left.form, form)) carry(form);
    else save(left.form);
  }
  left = null;
  if (form) show(form);
});
