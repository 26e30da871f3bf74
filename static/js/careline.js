// The page's own behaviour: each module minds one thing and works on whatever part is on the page.
import "./clock.js";
import "./toasts.js";
import "./page.js";
import "./countdown.js";
import "./notice.js";
import "./bad-days.js";
import "./composer.js";
import "./drafts.js";
import "./saved.js";
import "./pictures.js";
import "./keys.js";
import "./palette.js";
import "./together.js";
import "./beside.js";
import "./mentions.js";
import "./live.js";
import "./ahead.js";
import "./bulk.js";

document.documentElement.dataset.js = "on";
