// Counts on in every <time data-clock="up|down">, in the words of app/i18n.py `clock`. Silent for screen readers.
const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;

const two = (n) => String(n).padStart(2, "0");
const words = document.documentElement.dataset; // the catalogue's: "%(hours)d h %(minutes)02d"
const filled = (text, values) => text.replace(/%\((\w+)\)(0?)2?d/g, (_all, name, zero) => (zero ? two(values[name]) : values[name]));

export function clock(span) {
  const seconds = Math.max(0, Math.floor(span));
  const [days, hours, minutes] = [DAY, HOUR, MINUTE].map((unit) => Math.floor(seconds / unit));
  if (seconds < HOUR) return `${minutes}:${two(seconds % MINUTE)}`;
  if (seconds < DAY) return filled(words.hours, { hours, minutes: minutes % MINUTE });
  return filled(words.days, { days, hours: hours % 24 });
}

function tick() {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("time[data-clock]")) {
    const away = (Date.now() - Date.parse(time.dateTime)) / 1000;
    const text = clock(time.dataset.clock === "down" ? -away : away);
    if (time.textContent !== text) time.textContent = text;
  }
}

setInterval(tick, 1000);
document.addEventListener("visibilitychange", tick);
