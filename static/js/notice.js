// What is told beside the page: the count in the title, offers and notices by sound and by the browser where the agent
// asked for it, and one sentence for screen readers in place of many.
const GATHER = 2_000; // polite words within this time become one announcement
const TOLD = "careline-told"; // what this browser has rung for, so that one tab of several does, and once
const title = () => document.title.replace(/^\(\d+\) /, "");
const region = (id) => document.getElementById(id);
const said = new Set();
let gathered = [];
let sound;

export function say(words, urgent = false) {
  if (urgent) {
    region("announcer").textContent = words;
    return;
  }
  if (!gathered.length)
    setTimeout(() => {
      region("murmur").textContent = [...new Set(gathered)].join(" ");
      gathered = [];
    }, GATHER);
  gathered.push(words);
}

export function chime() {
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
  dispatchEvent(new CustomEvent("careline:chime"));
}

function ring(words) {
  const wanted = document.getElementById("page").dataset.notify?.split(" ") ?? [];
  if (wanted.includes("sound") && navigator.userActivation?.hasBeenActive) chime();
  if (!wanted.includes("desktop") || globalThis.Notification?.permission !== "granted") return;
  if (!document.hidden && document.hasFocus()) return; // it is before their eyes
  const shown = new Notification(words, { tag: "careline", icon: document.querySelector('link[rel="icon"]').href });
  shown.onclick = () => { window.focus(); shown.close(); };
}

// Every tab sees an offer; the first that gets the lock and finds it untold rings.
async function once(key, words) {
  const tell = () => {
    const told = JSON.parse(localStorage.getItem(TOLD) ?? "[]");
    if (told.includes(key)) return;
    localStorage.setItem(TOLD, JSON.stringify([...told, key].slice(-50)));
    ring(words);
  };
  if (navigator.locks) await navigator.locks.request(TOLD, tell);
  else tell();
}

let unread = 0;
let begun = false;
function look() {
  const offers = document.querySelectorAll("[data-offer]");
  const bell = document.querySelector("[data-notices]");
  const notices = Number(bell?.dataset.notices ?? unread);
  const offered = new Set([...offers].map(({ dataset }) => dataset.offer)).size;
  document.title = offered + notices ? `(${offered + notices}) ${title()}` : title();
  for (const one of document.querySelectorAll("[data-say]")) {
    const { say: words, offer, made } = one.dataset;
    const key = `${offer ?? one.id}@${made ?? words}`;
    if (said.has(key)) continue;
    said.add(key);
    if (offer) once(key, words);
    if (begun || offer) say(words, Boolean(offer));
  }
  if (begun && notices > unread && bell.dataset.word) {
    say(bell.dataset.word);
    if (document.getElementById("page").dataset.notify?.includes("notices")) once(`notices@${notices}@${Math.floor(Date.now() / 10_000)}`, bell.dataset.word);
  }
  unread = notices;
  begun = true;
}

document.addEventListener("careline:swapped", look);
document.addEventListener("click", async ({ target }) => {
  if (target.closest("[data-try-sound]")) chime();
  const ask = target.closest("[data-ask-notices]");
  if (!ask) return;
  const answer = await globalThis.Notification?.requestPermission();
  ask.parentElement.querySelector("[data-answer]").textContent = ask.dataset[answer] ?? ask.dataset.denied;
});
look();
