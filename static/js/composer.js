// The composer: the channel's own count, and the kind of message. Its drafts are minded by drafts.js.
const LINK = /(?<![\p{L}\p{N}_@/])https?:\/\/[^\s<>"\p{C}]*[^\s<>"\p{C}.,:;!?'\u2019”»…-]/giu;
const REMOTE = /(?<![=/\w])(@\w(?:[\w.-]{0,200}\w)?)@[\w.:-]{0,250}\w/g;
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const seen = (text) => [...graphemes.segment(text)].length;
const BARE = "com|org|net|edu|gov|info|biz|app|dev|shop|store|online|site|blog|cloud|news|xyz|club|live";
const TAIL = String.raw`[^\s<>"\p{C}]*[^\s<>"\p{C}.,:;!?'\u2019”»…\-]`;
const X_LINK = new RegExp(String.raw`(?<![\p{L}\p{N}_@#$/.\-])(?:https?:\/\/${TAIL}|(?:[a-z0-9][a-z0-9\-]{0,62}\.){1,8}(?:${BARE}|[a-z]{2})(?![\p{L}\p{N}_@])(?:\/(?:${TAIL})?)?)`, "giu");
const EMOJI = /\p{Emoji_Presentation}|[\uFE0F\u20E3\u{1F1E6}-\u{1F1FF}]|\u200D\p{Extended_Pictographic}/u;
const LIGHT = /[\0-\u10FF\u2000-\u200D\u2010-\u201F\u2032-\u2037]/u;
const weight = (one) => (EMOJI.test(one) ? 2 : [...one].reduce((sum, c) => sum + (LIGHT.test(c) ? 1 : 2), 0));

const bytes = (one) => (EMOJI.test(one) ? new TextEncoder().encode(one) : [...one]).length;

function weighed(text) {
  let links = 0;
  const rest = text.normalize("NFC").replace(X_LINK, () => (links++, ""));
  return 23 * links + [...graphemes.segment(rest)].reduce((sum, { segment }) => sum + weight(segment), 0);
}

// Mirrors app/connectors/length.py; the server counts again when a draft is saved and when a reply is sent.
const RULES = {
  characters: (text) => [...text].length,
  graphemes: seen,
  x: weighed,
  threads: (text) => [...graphemes.segment(text)].reduce((sum, { segment }) => sum + bytes(segment), 0),
  mastodon: (text) => seen(text.replace(LINK, "x".repeat(23)).replace(REMOTE, "$1")),
};

export const composer = () => document.querySelector("[data-composer]");
export const field = (form) => form.elements.namedItem("text");
export const mode = (form) => form.elements.namedItem("visibility").value;

// Some channels take less in private than in public: then the chosen audience says how much.
const limits = (form) => form.querySelector("[name=visibility][data-limit]:checked")?.dataset ?? form.dataset;

function room(form) {
  const most = limits(form);
  const text = field(form).value.trim();
  const sign = form.dataset.tail.trim();
  const whole = form.dataset.lead + text + (sign && !text.endsWith(sign) ? form.dataset.tail : "");
  const rooms = [];
  if (most.limit) rooms.push(Number(most.limit) - RULES[form.dataset.rule](whole));
  if (most.bytes) rooms.push(Number(most.bytes) - new TextEncoder().encode(whole).length);
  return rooms.length ? Math.min(...rooms) : null;
}

export function show(form, left = room(form)) {
  const posts = Number(form.dataset.posts ?? 0); // as the draft was last saved
  const note = mode(form) === "note";
  const over = !note && left !== null && left < 0;
  const counter = form.querySelector(".counter");
  const ring = counter.querySelector("svg");
  const limit = Number(limits(form).limit);
  form.dataset.mode = mode(form);
  counter.dataset.state = over ? "over" : "ok";
  counter.hidden = note || left === null;
  ring.toggleAttribute("hidden", over || !limit);
  const used = limit ? Math.min(100, Math.max(0, ((limit - left) / limit) * 100)) : 0;
  ring.querySelector(".val").setAttribute("stroke-dasharray", `${used} 100`);
  counter.querySelector("[data-count]").textContent = over
    ? form.dataset.wordsOver.replace("{n}", String(-left))
    : limit && left !== null
      ? form.dataset.wordsOf.replace("{n}", String(limit - left)).replace("{limit}", String(limit))
      : "";
  const empty = !field(form).value.trim();
  for (const button of form.querySelectorAll("[data-send], [data-send-close], [data-send-next]")) {
    button.disabled = over || empty || "undecided" in form.dataset;
    if (!("send" in button.dataset)) button.hidden = note;
  }
  form.querySelector("[data-send-more]")?.toggleAttribute("hidden", note);
  const threading = form.querySelector("[data-threading]");
  if (threading) {
    threading.hidden = !over || posts < 2 || "undecided" in form.dataset;
    const button = threading.querySelector("button");
    button.textContent = button.dataset.words.replace("{n}", String(posts));
  }
  const blank = [...form.querySelectorAll("[data-picture] textarea")].some(({ value }) => !value.trim());
  form.querySelector("[data-undescribed]")?.toggleAttribute("hidden", note || !blank);
  const word = form.querySelector("[data-send-word]");
  if (word) {
    word.dataset.usual ??= word.textContent;
    word.textContent = note ? word.dataset.note : word.dataset.usual;
  }
}

export function write(kind) {
  const form = composer();
  if (!form) return false;
  const choices = [...form.querySelectorAll('input[type="radio"][name="visibility"]')];
  const wanted = kind === "public" ? choices.find(({ value }) => value !== "direct" && value !== "note") : choices.find(({ value }) => value === kind);
  if (choices.length && !wanted) return false;
  if (wanted && !wanted.checked) {
    wanted.checked = true;
    wanted.dispatchEvent(new Event("input", { bubbles: true }));
  }
  field(form).focus();
  return true;
}

if (composer()) show(composer());
