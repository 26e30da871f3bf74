// Rings that run down: an offer that waits for an answer, a reply that can be taken back. CSS counts; we set the times.
const SECOND = 1000;
const announced = new Set();
const title = () => document.title.replace(/^\(\d+\) /, "");
let sound;

function wind(ring) {
  const expires = Date.parse(ring.dataset.expires);
  const whole = Math.max(1, Math.round((expires - Date.parse(ring.dataset.made)) / SECOND));
  const spent = Math.max(0, whole - (expires - Date.now()) / SECOND);
  ring.style.setProperty("--ttl", `${whole}s`);
  ring.style.setProperty("--from", String(whole));
  ring.style.setProperty("--spent", `${spent}s`);
  return expires;
}

function chime() {
  sound ??= new AudioContext();
  for (const [at, pitch] of [[0, 660], [0.16, 880]]) {
    const tone = sound.createOscillator();
    const volume = sound.createGain();
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.08, sound.currentTime + at);
    volume.gain.exponentialRampToValueAtTime(0.001, sound.currentTime + at + 0.3);
    tone.connect(volume).connect(sound.destination);
    tone.start(sound.currentTime + at);
    tone.stop(sound.currentTime + at + 0.32);
  }
}

function offers() {
  const offer = document.querySelector("[data-offer]");
  document.title = offer ? `(1) ${title()}` : title();
  if (!offer) return;
  const known = `${offer.dataset.offer}@${offer.dataset.made}`;
  if (announced.has(known)) return;
  announced.add(known);
  document.getElementById("announcer").textContent = offer.dataset.say;
  if (navigator.userActivation?.hasBeenActive) chime();
}

let timer;
function look() {
  clearTimeout(timer);
  const ends = [...document.querySelectorAll("[data-expires]")].map(wind);
  offers();
  const next = Math.min(...ends.filter((end) => end > Date.now() - 5 * SECOND));
  if (Number.isFinite(next)) {
    const wait = Math.max(SECOND, next - Date.now() + 0.4 * SECOND);
    timer = setTimeout(() => document.dispatchEvent(new CustomEvent("careline:refresh")), wait);
  }
}

document.addEventListener("careline:swapped", look);
look();
