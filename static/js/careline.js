// The page's own behaviour: each module minds one thing and works on whatever part is on the page.
import "./clock.js";
import "./toasts.js";
