// A field that chooses from a list below it: arrows move, Enter takes, and the focus stays in the field.
const options = (list) => [...list.querySelectorAll("[role=option]")].filter((one) => !one.hidden);

export const chosen = (list) => list.querySelector('[aria-selected="true"]');

export function mark(input, list, option) {
  const before = chosen(list);
  if (before && before !== option) {
    before.removeAttribute("aria-selected");
    delete before.dataset.active;
  }
  if (option) {
    option.setAttribute("aria-selected", "true");
    option.dataset.active = "";
    option.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", option.id);
  } else input.removeAttribute("aria-activedescendant");
}

export const first = (input, list) => mark(input, list, options(list)[0]);

// Whether the key was one of the list's. `take` gets what was chosen.
export function moved(event, input, list, take) {
  const all = options(list);
  const at = all.indexOf(chosen(list));
  const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? -1 : at - 1, PageDown: Math.min(at + 8, all.length - 1), PageUp: Math.max(at - 8, 0) }[event.key];
  if (to !== undefined) mark(input, list, all.at(to % (all.length || 1)));
  else if (event.key === "Enter") {
    if (all[at]) take(all[at], event);
  } else if (event.key === "Escape") input.closest("[popover]").hidePopover(); // and the focus goes back
  else return false;
  event.preventDefault();
  event.stopPropagation();
  return true;
}
