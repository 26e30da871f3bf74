// Rings that run down: an offer that waits for an answer, a reply that can be taken back. CSS counts; we set the times.
const SECOND = 1000;

function wind(ring) {
  const expires = Date.parse(ring.dataset.expires);
  const whole = Math.max(1, Math.round((expires - Date.parse(ring.dataset.made)) / SECOND));
  const spent = Math.max(0, whole - (expires - Date.now()) / SECOND);
  ring.style.setProperty("--ttl", `${whole}s`);
  ring.style.setProperty("--from", String(whole));
  ring.style.setProperty("--spent", `${spent}s`);
  return expires;
}

let timer;
function look() {
  clearTimeout(timer);
  const ends = [...document.querySelectorAll("[data-expires]")].map(wind);
  const next = Math.min(...ends.filter((end) => end > Date.now() - 5 * SECOND));
  if (Number.isFinite(next)) {
    const wait = Math.max(SECOND, next - Date.now() + 0.4 * SECOND);
    timer = setTimeout(() => document.dispatchEvent(new CustomEvent("careline:refresh")), wait);
  }
}

document.addEventListener("careline:swapped", look);
look();
