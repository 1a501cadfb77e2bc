// Shows what /processes?json=1 and /processes/<name>?json=1 answer, anew every second and a half.
// Names and error texts are anybody's: they become text nodes, never markup.
(function () {
  "use strict";

  const page = document.getElementById("cp-page");
  const base = page.dataset.base;
  const name = page.dataset.process;
  const pause = 1500;
  const SVG = "http://www.w3.org/2000/svg";
  const shown = new Map();
  let timer = null;
  let last = null;

  const at = (id) => document.getElementById(id);
  const count = (number) => number.toLocaleString("en");

  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  function svg(tag, attributes, text) {
    const node = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  }

  function instant(text, words) {
    const date = new Date(text);
    return el("time", { datetime: text, title: `${date.toLocaleString()} (${text})` }, words || date.toLocaleString());
  }

  function badge(word, kind) {
    return el("span", { class: `cp-badge cp-is-${(kind || word).replace(/ /g, "-")}` }, word);
  }

  const badges = (words) => [].concat(words).map((word) => word === "never ran" ? badge(word, "NEW") : badge(word));

  function bar(progress, text) {
    const whole = Math.round(1000 * (progress.fraction || 0)) / 10;
    const track = el("div", {
      class: `cp-bar cp-bar-${progress.state || "NEW"}`,
      role: "progressbar",
      "aria-label": `Progress of ${progress.process}`,
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      "aria-valuenow": whole,
    }, el("span", { style: `width: ${whole}%` }));
    return el("div", {}, track, el("p", { class: "cp-bar-text" }, text));
  }

  const code = (_, text) => el("code", {}, text);
  const DRAWN = {
    process: (value) => el("a", { href: `${base}/processes/${encodeURIComponent(value)}` }, value),
    state: badges,
    progress: bar,
    share: (value, text, hint) => el("span", { class: value.of !== null && value.count > value.of && "cp-bad", title: hint || null }, text),
    instant: (value) => instant(value),
    until: instant,
    run: code,
    id: code,
    json: code,
  };

  // What a column shows in a row, by its kind. The text is the server's, but for instants, which are in the reader's zone.
  function drawn(column, row) {
    const [value, text] = [row[column.key], row.texts[column.key]];
    if (!text) return ["–"];
    const inner = [].concat(value !== null && DRAWN[column.kind] ? DRAWN[column.kind](value, text, column.hint) : text);
    if (!column.words) return inner;
    const [before, after] = column.words.split("%(value)s");
    return [before, ...inner, after];
  }

  // Draw the rows of a list in its columns, below a value those that stand under it; `more` draws a last cell.
  function list(table, columns, rows, empty, more) {
    const heads = columns.filter((column) => !column.under && !column.detail);
    const classes = (column) => column.number ? "cp-number" : ["progress", "json"].includes(column.kind) ? "cp-wide" : null;
    at(table).tHead.replaceChildren(el("tr", {},
      ...heads.map((column) => el("th", { scope: "col", class: classes(column) }, column.heading)),
      more && el("th", { scope: "col" }, el("span", { class: "visually-hidden" }, "Actions"))));
    const below = (column, row) => columns.filter((one) => one.under === column.key && row.texts[one.key])
      .map((one) => el("span", { class: "cp-under" }, ...drawn(one, row)));
    fill(table, rows.map((row) => el("tr", {},
      ...heads.map((column, index) => el(index === 0 ? "th" : "td", {
        scope: index === 0 && "row", class: classes(column), "data-label": column.heading,
      }, ...drawn(column, row), ...below(column, row))),
      more && el("td", {}, ...[more(row)].filter(Boolean)))), empty);
  }

  function row(table, cells) {
    const labels = [...at(table).tHead.rows[0].cells];
    return el("tr", {}, ...cells.map((cell, index) => el(index === 0 ? "th" : "td", {
      scope: index === 0 && "row", class: labels[index].className, "data-label": labels[index].textContent,
    }, ...[].concat(cell))));
  }

  function fill(table, rows, empty) {
    const width = at(table).tHead.rows[0].cells.length;
    const body = rows.length ? rows : [el("tr", {}, el("td", { class: "cp-empty", colspan: width }, empty))];
    at(table).tBodies[0].replaceChildren(...body);
  }

  // Redraw a part only where its data changed, so that nothing is taken from under a pointer or the focus.
  function part(key, data, draw) {
    const text = JSON.stringify(data);
    if (shown.get(key) === text) return;
    shown.set(key, text);
    draw();
  }

  function drawAll(document_) {
    const { columns, processes } = document_;
    part("all", processes, () => list("cp-processes", columns.processes, processes, "This app defines no process."));
  }

  function facts(document_) {
    const { overview, run, columns, above } = document_;
    const row = run && document_.runs.find((one) => one.id === run.id);
    const of = (found, from) => found.map((column) => [column.heading, drawn(column, from)]);
    const found = [
      ...of(columns.processes.filter((column) => !above.includes(column.key)), overview),
      ...(row ? of(columns.runs.filter((column) => column.under === "state" && row.texts[column.key]), row) : []),
      ...Object.entries(run ? run.counts : {}).filter((pair) => pair[1]).map(([state, number]) => [state, [count(number)]]),
    ];
    at("cp-facts").replaceChildren(...found.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, ...value))));
  }

  const took = (run, now) => Math.max(0, (new Date(run.finished_at || now) - new Date(run.started_at)) / 1000);

  function chart(runs, now, started) {
    if (!runs.length) return at("cp-chart").replaceChildren();
    const oldest = [...runs].reverse();
    const width = Math.max(260, at("cp-chart").clientWidth - 32);
    const [height, top, foot] = [130, 24, 108];
    const slowest = oldest.reduce((one, other) => took(other, now) > took(one, now) ? other : one);
    const longest = Math.max(took(slowest, now), 0.001);
    const lasted = (run) => run.texts.took || `open, started ${started}`;
    const step = Math.min(width / oldest.length, 48);
    const words = {};
    for (const run of oldest) words[run.state] = (words[run.state] || 0) + 1;
    const message = Object.entries(words).map(([state, number]) => `${number} ${state}`).join(", ");
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-labelledby": "cp-chart-title cp-chart-desc" });
    root.append(svg("title", { id: "cp-chart-title" }, `How long the last ${oldest.length} runs took`),
      svg("desc", { id: "cp-chart-desc" }, `${message}; the longest: ${lasted(slowest)}. The table below has each run.`));
    root.append(svg("text", { x: 0, y: 12 }, `the longest: ${lasted(slowest)}; ! marks what did not complete`));
    root.append(svg("line", { x1: 0, x2: width, y1: foot, y2: foot }));
    oldest.forEach((run, index) => {
      const high = Math.max(3, (foot - top) * took(run, now) / longest);
      const rect = svg("rect", { class: `cp-is-${run.state}`, x: index * step + 1, y: foot - high, width: Math.max(step - 3, 2), height: high, rx: 2 });
      rect.append(svg("title", {}, `${run.slot} ${run.state}, ${run.items.count} items, ${run.total_errors} errors, ${lasted(run)}`));
      root.append(rect);
      if (["ABORTED", "INCOMPLETE"].includes(run.state)) {
        root.append(svg("text", { class: "cp-mark", x: index * step + step / 2 - 0.5, y: foot - high - 3 }, "!"));
      }
    });
    root.append(svg("text", { x: 0, y: height - 6 }, new Date(oldest[0].slot).toLocaleTimeString()));
    if (oldest.length > 1) {
      const right = Math.min(oldest.length * step, width);
      if (right > 160) root.append(svg("text", { x: right, y: height - 6, "text-anchor": "end" }, new Date(oldest[oldest.length - 1].slot).toLocaleTimeString()));
    }
    at("cp-chart").replaceChildren(root);
  }

  function acts(run) {
    const names = page.dataset.acts ? run.offered : [];
    return el("div", { class: "cp-actions" }, ...names.map((verb) => {
      const { label, destroys } = last.verbs[verb];
      const button = el("button", { class: `btn btn-outline-${destroys ? "danger" : "primary"} btn-sm`, type: "button" }, label);
      button.addEventListener("click", () => ask(verb, run.id));
      return button;
    }));
  }

  function drawOne(document_) {
    const { overview, run } = document_;
    last = document_;
    part("head", [overview.states, overview.offered, overview.schedule], () => {
      at("cp-state").replaceChildren(...badges(overview.states));
      at("cp-schedule").textContent = overview.schedule;
      for (const button of page.querySelectorAll("[data-act]")) button.hidden = !overview.offered.includes(button.dataset.act);
    });
    const note = overview.paused && `Paused by ${overview.paused.by || "somebody"}: ${overview.paused.note || "no note"}`;
    warn(note || (document_.shared ? "" : "This store is seen by one operating-system process alone: what the workers do does not show here."));
    at("cp-progress").replaceChildren(bar(overview.progress, overview.texts.progress));
    facts(document_);
    const kept = document_.failing.reduce((sum, item) => sum + item.errors.length, 0);
    const more = run ? run.total_errors - kept : 0;
    at("cp-more").textContent = more > 0 ? `${count(more)} more are counted, but their texts are not kept.` : "";
    part("failing", document_.failing, () => fill("cp-failing", document_.failing.map((item) => {
      return row("cp-failing", [
        item.work === null ? "the run itself" : item.work, item.state ? badge(item.state) : "–",
        item.attempt === null ? "–" : count(item.attempt), count(item.total_errors),
        item.errors.flatMap((error) => [el("span", { class: "cp-error" }, error.text), el("span", { class: "cp-under" }, instant(error.at))]),
      ]);
    }), run ? "No error in this run." : "No run yet."));
    part("runs", document_.runs, () => {
      chart(document_.runs, overview.at, overview.texts.started_at);
      list("cp-runs", document_.columns.runs, document_.runs, "No run yet.", acts);
    });
    part("slots", document_.slots, () => list("cp-slots", document_.columns.slots, document_.slots, "No slot yet."));
    part("settings", [document_.settings, document_.overrides], () => {
      const { version, changed_at, by } = document_.overrides;
      at("cp-version").replaceChildren(...(version ? [`Version ${version}, stored `, instant(changed_at), by ? ` by ${by}` : "", "."] : ["As in the code."]));
      fill("cp-settings", document_.settings.map((item) => row("cp-settings", [
        item.name, el("code", {}, JSON.stringify(item.value)), item.stored ? "stored" : "code",
      ])), "No settings.");
    });
    part("limits", document_.limits, () => {
      const { max_in_flight, rate_limit, at: stored, by } = document_.limits;
      at("cp-limits").replaceChildren(
        `At most ${count(max_in_flight)} items in flight, ${rate_limit ? `${rate_limit} sent` : "no rate limit"}`,
        ...(stored ? ["; stored ", instant(stored), by ? ` by ${by}` : ""] : []), ".",
      );
    });
    const { columns, settings_history } = document_;
    part("versions", settings_history, () =>
      list("cp-versions", columns.settings_history, settings_history, "Nothing was stored yet; all is as in the code."));
  }

  function warn(text) {
    at("cp-warning").textContent = text;
    at("cp-warning").hidden = !text;
  }

  function status(kind, text) {
    at("cp-dot").className = `cp-dot cp-dot-${kind}`;
    if (at("cp-status").textContent !== text) at("cp-status").textContent = text;
  }

  function ask(action, run) {
    const dialog = at("cp-dialog");
    const { label, question, takes } = last.verbs[action];
    at("cp-dialog-title").textContent = `${label}?`;
    at("cp-dialog-text").textContent = run ? `${question} (${run})` : question;
    at("cp-yes").textContent = label;
    at("cp-note-label").hidden = !takes.includes("note");
    at("cp-note").value = "";
    dialog.onclose = () => { if (dialog.returnValue === "yes") act(action, { note: at("cp-note").value, run: run || "" }); };
    dialog.returnValue = "";
    dialog.showModal();
  }

  async function act(action, fields) {
    const cookie = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/);
    const headers = cookie ? { "X-XSRFToken": decodeURIComponent(cookie[1]) } : {};
    const { label } = last.verbs[action];
    let message = "";
    try {
      const path = `${base}/api/processes/${encodeURIComponent(name)}/${action}`;
      const answer = await fetch(path, { method: "POST", headers, body: new URLSearchParams(fields) });
      const found = await answer.json();
      message = answer.ok ? found.text : found.error;
    } catch (error) {
      message = `${label}: Flower did not answer.`;
    }
    at("cp-message").textContent = message;
    at("cp-message").hidden = false;
    look();
  }

  async function look() {
    clearTimeout(timer);
    if (!document.hidden) {
      try {
        const answer = await fetch(`${base}/processes${name ? `/${encodeURIComponent(name)}` : ""}?json=1`, { headers: { "X-Celery-Process": "page" } });
        const document_ = await answer.json();
        if (!answer.ok) throw new Error(document_.error);
        (name ? drawOne : drawAll)(document_);
        if (!name) warn(document_.shared ? "" : "This store is seen by one operating-system process alone: what the workers do does not show here.");
        status("live", "Live");
      } catch (error) {
        status("error", "Not live");
        warn(error instanceof TypeError || error instanceof SyntaxError ? "Flower does not answer." : error.message);
      }
    }
    clearTimeout(timer);
    timer = setTimeout(look, pause);
  }

  page.addEventListener("click", (event) => {
    const button = event.target.closest("[data-act]");
    if (button) ask(button.dataset.act);
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  window.addEventListener("resize", () => { if (last) chart(last.runs, last.overview.at, last.overview.texts.started_at); });
  look();
})();
