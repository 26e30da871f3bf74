// Layers that are filled when they open (transfer, ask): a search in them narrows the targets, Enter takes the first.
const PAUSE = 120;

async function html(address) {
  const answer = await fetch(address, { headers: { "HX-Request": "true" }, redirect: "error" });
  if (!answer.ok) throw new Error(answer.statusText);
  return answer.text();
}

async function fill(layer) {
  if (layer.dataset.filled) {
    const field = layer.querySelector("[data-find]");
    field?.focus();
    return field && narrow(field); // whoever was free then
  }
  try {
    layer.innerHTML = await html(layer.dataset.layer);
    layer.dataset.filled = "yes";
    htmx.process(layer);
    if (layer.matches(":popover-open")) layer.querySelector("[data-find]")?.focus();
  } catch {
    /* the link in it still leads to the page */
  }
}

document.addEventListener("toggle", ({ target, newState }) => {
  if (newState === "open" && target.dataset?.layer) fill(target);
}, true);

let timer;
let asked = 0;
async function narrow(field) {
  const form = field.form;
  const address = new URL(form.action);
  address.search = new URLSearchParams(new FormData(form));
  address.searchParams.set("only", "targets");
  const mine = ++asked;
  const text = await html(address).catch(() => null);
  const shown = document.getElementById(field.dataset.find);
  if (text === null || mine !== asked || !shown) return;
  shown.outerHTML = text;
}

document.addEventListener("input", ({ target }) => {
  if (!target.matches?.("[data-find]")) return;
  clearTimeout(timer);
  timer = setTimeout(() => { timer = null; narrow(target); }, PAUSE);
});
document.addEventListener("submit", async (event) => {
  const field = event.target.querySelector?.("[data-find]");
  if (!field || !field.closest("[popover]")) return;
  event.preventDefault();
  event.stopPropagation();
  clearTimeout(timer);
  await narrow(field);
  document.getElementById(field.dataset.find)?.querySelector(".opt")?.focus();
}, true);
