// Messages beside the page: dismissed by hand, or after a while when nobody points at or stands in them.
const LASTING = 12_000;

document.addEventListener("click", (event) => {
  event.target.closest("[data-dismiss]")?.closest(".toast")?.remove();
});

new MutationObserver((changes) => {
  for (const { addedNodes } of changes)
    for (const toast of addedNodes)
      if (toast.nodeType === Node.ELEMENT_NODE)
        setTimeout(() => toast.matches(":hover, :focus-within, [data-stays]") || toast.remove(), LASTING);
}).observe(document.getElementById("toasts"), { childList: true });

export function toast(words) {
  const line = document.createElement("p");
  line.className = "toast";
  line.role = "status";
  line.textContent = words;
  document.getElementById("toasts").append(line);
}
