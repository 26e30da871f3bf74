// Choosing many items: what is chosen stays chosen while the list is drawn anew; Shift chooses all in between.
const boxes = () => [...document.querySelectorAll("#list .pick input")];
const chosen = new Set();
let last = null;
let where = location.pathname + location.search;

function show() {
  const bar = document.getElementById("bulk");
  if (where !== location.pathname + location.search) chosen.clear(); // another list
  where = location.pathname + location.search;
  const there = boxes();
  for (const box of there) box.checked = chosen.has(box.value);
  if (!bar) return;
  const count = there.filter((box) => box.checked).length;
  bar.dataset.count = count;
  const words = bar.querySelector("[data-chosen]");
  words.textContent = words.dataset.words.replace("{n}", count);
}

document.addEventListener("click", ({ target, shiftKey }) => {
  if (!target.matches?.("#list .pick input")) return;
  const all = boxes();
  const here = all.indexOf(target);
  const from = shiftKey && last !== null ? all.findIndex((box) => box.value === last) : here;
  for (const box of all.slice(Math.min(from < 0 ? here : from, here), Math.max(from, here) + 1))
    chosen[target.checked ? "add" : "delete"](box.value);
  last = target.value;
  show();
});
document.addEventListener("careline:swapped", show);
show();
