"use strict";
// The page as it is now takes the place of the page as it was, when something has changed and now and then, since ages grow.
const LEAST_PAUSE_MS = 1000, AT_LEAST_EVERY_MS = 30000;
const live = document.getElementById("live");
let due = null;

function refreshIn(ms) {
  if (due !== null && due.at <= Date.now() + ms) return;
  if (due !== null) clearTimeout(due.timer);
  due = {at: Date.now() + ms, timer: setTimeout(refresh, ms)};
}

async function refresh() {
  due = null;
  try {
    const answer = await fetch(location.href);
    // Logged out: the form is there instead of the page.
    if (answer.status === 401) return location.reload();
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const open = [...document.querySelectorAll("details")].map((one) => one.open);
      const main = page.querySelector("main");
      const details = main.querySelectorAll("details");
      if (open.length === details.length) details.forEach((one, number) => { one.open = open[number]; });
      document.querySelector("main").replaceWith(main);
    }
  } catch {
    live.hidden = true;
  }
  refreshIn(AT_LEAST_EVERY_MS);
}

const events = new EventSource(document.body.dataset.events);
events.onopen = () => { live.hidden = false; };
events.onerror = () => { live.hidden = true; };
events.onmessage = () => refreshIn(LEAST_PAUSE_MS);
refreshIn(AT_LEAST_EVERY_MS);
