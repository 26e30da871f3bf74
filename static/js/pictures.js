// Pictures of a reply: chosen, pasted or dropped, and brought at once. The server looks at what they really are.
import { composer, show } from "./composer.js";
import { inTurn } from "./drafts.js";
import { toast } from "./toasts.js";

const KINDS = ["image/jpeg", "image/png", "image/webp", "image/gif"];
const tray = (form) => form?.querySelector("[data-pictures]");

async function ask(asking, method, address, body) {
  let form = asking;
  let box = tray(form);
  box.ariaBusy = "true";
  try {
    const headers = { "X-CSRF": document.querySelector('meta[name="csrf"]').content, Accept: "application/json" };
    const answer = await inTurn(() => fetch(address, { method, headers, body }));
    const told = await answer.json();
    if (!form.isConnected && composer()?.dataset.item === form.dataset.item) form = composer(); // drawn anew meanwhile
    box = tray(form) ?? box;
    if (!answer.ok) return method === "GET" || toast(told.error?.message ?? box.dataset.wordsFailed);
    const typed = new Map([...box.querySelectorAll("textarea")].map((one) => [one.closest("[data-picture]").dataset.picture, one.value]));
    box.innerHTML = told.html;
    for (const [id, alt] of typed) {
      const field = box.querySelector(`[data-picture="${id}"] textarea`);
      if (field) field.value = alt;
    }
    if (!form.dataset.version && told.key === form.elements.namedItem("key").value) form.dataset.version = told.version;
    show(form);
  } catch {
    toast(box.dataset.wordsFailed);
  } finally {
    box.ariaBusy = tray(asking).ariaBusy = "false";
  }
}

async function bring(form, files) {
  const box = tray(form);
  if (files.some(({ type }) => !KINDS.includes(type))) return toast(box.dataset.wordsKind);
  if (box.children.length + files.length > Number(box.dataset.most)) return toast(box.dataset.wordsMost);
  const body = new FormData();
  for (const name of ["key", "visibility"]) body.set(name, form.elements.namedItem(name).value);
  for (const file of files) body.append("picture", file);
  await ask(form, "POST", `/items/${form.dataset.item}/attachments`, body);
  tray(composer())?.querySelector("li:last-child textarea")?.focus();
}

function taken(event, form, list) {
  const files = [...(list?.files ?? [])];
  if (!files.length || !tray(form) || form.dataset.mode === "note") return;
  event.preventDefault();
  bring(form, files);
}

document.addEventListener("change", ({ target }) => {
  if (!target.matches("[data-attach]")) return;
  const files = [...target.files];
  target.value = "";
  if (files.length) bring(target.form, files);
});
document.addEventListener("paste", (event) => taken(event, event.target.closest?.("[data-composer]"), event.clipboardData));
for (const kind of ["dragover", "dragleave", "drop"])
  document.addEventListener(kind, (event) => {
    const form = event.target.closest?.("[data-composer]");
    if (!tray(form) || !event.dataTransfer?.types.includes("Files")) return;
    form.toggleAttribute("data-dropping", kind === "dragover");
    if (kind === "dragover") event.preventDefault();
    if (kind === "drop") taken(event, form, event.dataTransfer);
  });
document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-detach]");
  if (!button) return;
  const { form } = button;
  await ask(form, "DELETE", `/attachments/${button.dataset.detach}`);
  composer()?.querySelector("[data-attach]")?.focus();
});
document.addEventListener("careline:refresh", () => {
  const form = composer();
  if (tray(form)) ask(form, "GET", `/items/${form.dataset.item}/attachments`);
});
