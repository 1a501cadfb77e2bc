// Keeps a page of the admin live: asks for its parts again and again while somebody looks, and draws those that changed.
// All texts come escaped from Django's templates; nothing here writes markup of its own.
"use strict";
(() => {
  const page = document.querySelector("[data-live]");
  if (!page) return;
  const pause = 1500;
  const status = document.getElementById("cp-live");
  const shown = new Map();
  let timer = null;

  function draw(name, html) {
    const part = document.getElementById(`cp-${name}`);
    if (!part || shown.get(name) === html) return;
    // What has the focus keeps it, if it is still there.
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    shown.set(name, html);
    part.innerHTML = html;
    if (focused) document.getElementById(focused)?.focus();
  }

  function say(kind, text) {
    status.hidden = false;
    status.className = `cp-live cp-live-${kind}`;
    if (status.textContent !== text) status.textContent = text;
  }

  async function look() {
    clearTimeout(timer);
    if (document.hidden) return;
    const began = performance.now();
    try {
      const answer = await fetch(page.dataset.live, { headers: { Accept: "application/json" } });
      if (answer.redirected || !(answer.headers.get("Content-Type") || "").startsWith("application/json")) {
        throw new Error(page.dataset.anew);
      }
      const told = await answer.json();
      if (!answer.ok) throw new Error(told.error);
      for (const [name, html] of Object.entries(told.parts)) draw(name, html);
      say("on", page.dataset.on);
    } catch (error) {
      say("off", `${page.dataset.off} ${error instanceof TypeError ? page.dataset.silent : error.message}`);
    }
    clearTimeout(timer);
    timer = setTimeout(look, Math.max(pause, 4 * (performance.now() - began)));
  }

  document.addEventListener("visibilitychange", look);
  look();
})();
