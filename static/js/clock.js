// Counts on in every <time data-clock="up|down">, in the words of app/i18n.py `clock`. Silent for screen readers.
const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;

export function clock(span) {
  const seconds = Math.max(0, Math.floor(span));
  const two = (n) => String(n).padStart(2, "0");
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)}:${two(seconds % MINUTE)}`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ${two(Math.floor((seconds % HOUR) / MINUTE))}`;
  return `${Math.floor(seconds / DAY)} d ${two(Math.floor((seconds % DAY) / HOUR))} h`;
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
