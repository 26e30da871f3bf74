// When the connection is lost or the sign-in has ended: said at once, mended silently, and nothing that was sent is lost.
// What could not be sent is kept in this browser, for this agent only; replies go out by themselves (their key makes a
// repeat harmless), all else only after asking.
import { say } from "./notice.js";
import { toast } from "./toasts.js";

const AGAIN = 3_000;
const SLOW = 1_000;
const page = () => document.getElementById("page");
const me = () => page()?.dataset.me;
const alert = () => document.getElementById("alert");
const store = () => `careline-kept-${me()}`;
const kept = () => JSON.parse(localStorage.getItem(store()) ?? "[]");
const keep = (all) => (all.length ? localStorage.setItem(store(), JSON.stringify(all)) : localStorage.removeItem(store()));
const token = () => document.querySelector('meta[name="csrf"]');
let lost = false;
export const offline = () => lost;

function draw() {
  const box = alert();
  if (!box) return;
  const waiting = kept().filter(({ auto }) => !auto);
  const ask = !lost && waiting.length > 0;
  box.hidden = !lost && !ask;
  box.dataset.kind = lost ? "offline" : "kept";
  const words = lost ? [box.dataset.lost, box.dataset.lostMore] : [box.dataset.kept, waiting.map(({ what, trouble, text }) => [what, text && `“${text}”`, trouble].filter(Boolean).join(": ")).join("; ")];
  box.querySelector("b").textContent = words[0];
  box.querySelector("[data-more]").textContent = words[1];
  box.querySelector("[data-reconnect]").hidden = !lost;
  for (const button of box.querySelectorAll("[data-kept]")) button.hidden = !ask;
}

export function gone() {
  if (lost || !me()) return;
  lost = true;
  say(alert()?.dataset.lost ?? "");
  draw();
  setTimeout(look, AGAIN);
}

async function look() {
  if (!lost) return;
  try {
    await fetch("/presence/alive", { redirect: "manual", cache: "no-store" });
  } catch {
    setTimeout(look, AGAIN);
    return;
  }
  lost = false;
  draw();
  document.dispatchEvent(new CustomEvent("careline:refresh"));
  flush();
}

// What a form would have sent, under its address; the same reply again takes the place of its earlier self.
function hold(form, submitter) {
  const body = new FormData(form, submitter?.form === form ? submitter : null);
  const key = body.get("key");
  const auto = Boolean(key) && body.get("visibility") !== "note" && form.matches("[data-composer]");
  const path = form.getAttribute("action") ?? location.pathname;
  const what = submitter?.textContent.trim() || form.getAttribute("aria-label") || "";
  const entry = { path, body: new URLSearchParams(body).toString(), key, auto, what, text: body.get("text") ?? "" };
  keep([...kept().filter((one) => !key || one.key !== key), entry]);
  toast(alert().dataset[auto ? "wordAuto" : "wordAsk"]);
  draw();
}

async function flush(all = false) {
  if (!me() || !kept().length) return;
  const send = async () => {
    for (const entry of kept()) {
      if (!(entry.auto || all)) continue;
      const body = new URLSearchParams(entry.body);
      body.set("csrf", token().content);
      let answer;
      try {
        answer = await fetch(entry.path, { method: "POST", body, redirect: "manual", headers: { Accept: "application/json" } });
      } catch {
        gone();
        return;
      }
      if (answer.status === 401) return ended();
      const rest = kept().filter((one) => one.body !== entry.body);
      if (answer.ok || answer.type === "opaqueredirect") {
        keep(rest);
        forget(entry);
      } else {
        const trouble = (await answer.json().catch(() => ({}))).error?.message ?? String(answer.status);
        keep([...rest, { ...entry, auto: false, trouble }]);
        toast(trouble);
      }
    }
    document.dispatchEvent(new CustomEvent("careline:refresh"));
  };
  if (navigator.locks) await navigator.locks.request(store(), send);
  else await send();
  draw();
}

// What went out must not stand in the composer as if it had not.
function forget(entry) {
  const form = document.querySelector("[data-composer]");
  if (!entry.key || form?.elements.namedItem("key")?.value !== entry.key) return;
  const field = form.elements.namedItem("text");
  if (field.value === entry.text) field.value = "";
  form.dispatchEvent(new CustomEvent("careline:sent", { bubbles: true }));
}

export function ended() {
  const dialog = document.getElementById("sign-in");
  if (dialog && !dialog.open) dialog.showModal();
}

async function signIn(form) {
  const problem = form.querySelector("[data-problem]");
  problem.textContent = "";
  try {
    const answer = await fetch("/login", { method: "POST", body: new URLSearchParams(new FormData(form)) });
    const there = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = there.querySelector('meta[name="csrf"]')?.content;
    const who = there.getElementById("page")?.dataset.me;
    if (!answer.ok || !who) {
      problem.textContent = there.querySelector("[role=alert]")?.textContent.trim() || form.dataset.wrong;
      form.elements.namedItem("password").select();
      return;
    }
    if (who !== me()) return location.assign("/desk"); // somebody else: none of this is theirs to see
    token().content = fresh;
    for (const field of document.querySelectorAll('input[name="csrf"]')) field.value = fresh;
    form.reset();
    document.getElementById("sign-in").close();
    await flush();
    document.dispatchEvent(new CustomEvent("careline:refresh"));
  } catch {
    problem.textContent = alert().dataset.lost;
  }
}

const sent = ({ sourceElement, sourceEvent }) => {
  if (sourceElement?.matches?.("form") && (sourceElement.method ?? "get") !== "get") hold(sourceElement, sourceEvent?.submitter);
};
document.addEventListener("htmx:error", ({ detail: { ctx, error } }) => {
  if (!ctx?.request || !me() || !(error instanceof TypeError || error?.name === "TimeoutError" || error?.name === "AbortError")) return;
  sent(ctx);
  gone();
});
document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
  if (ctx?.response?.status !== 401 || !me()) return;
  sent(ctx);
  ended();
});
document.addEventListener("careline:signed-out", ended);
addEventListener("offline", gone);
addEventListener("online", look);
document.addEventListener("submit", (event) => {
  if (event.target.id === "sign-in-form") {
    event.preventDefault();
    event.stopPropagation();
    signIn(event.target);
  } else if (event.target.classList.contains("htmx-request")) {
    event.preventDefault(); // it is on its way
    event.stopPropagation();
  }
}, true);
document.addEventListener("click", ({ target }) => {
  if (target.closest("[data-reconnect]")) look();
  if (target.closest("[data-kept=send]")) flush(true);
  if (target.closest("[data-kept=drop]")) {
    keep(kept().filter(({ auto }) => auto));
    draw();
  }
});

// What takes longer than a moment says so.
const under = new Map();
document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  if (ctx.request?.action?.includes("parts=")) return;
  under.set(ctx, setTimeout(() => { document.documentElement.dataset.slow = ""; }, SLOW));
});
document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => {
  clearTimeout(under.get(ctx));
  under.delete(ctx);
  if (!under.size) delete document.documentElement.dataset.slow;
});

draw();
flush();
