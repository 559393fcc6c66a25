"use strict";
// Keeps the page up to date: what changed of its parts, and decisions, over one stream that is opened again when it ends.
(() => {
  const kept = 200, firstWait = 500, longestWait = 15000, silence = 20000, sayEvery = 5000;
  const by = id => document.getElementById(id);
  const link = by("link"), list = by("decisions"), pause = by("pause"), waiting = by("waiting"), said = by("said");
  let paused = false, queue = [], unsaid = 0, newest = "", saidAt = 0, sayTimer = 0;
  let last = (list.querySelector("[data-id]") || {dataset: {}}).dataset.id || "";

  const two = n => String(n).padStart(2, "0");
  function localTimes(within) {
    for (const t of within.querySelectorAll("time[data-form]")) {
      const d = new Date(t.dateTime), hm = two(d.getHours()) + ":" + two(d.getMinutes());
      const hms = hm + ":" + two(d.getSeconds()), full = d.getFullYear() + "-" + two(d.getMonth() + 1) + "-" + two(d.getDate()) + " " + hms;
      t.textContent = {hm, hms, full}[t.dataset.form];
      t.title = full;
    }
  }

  // A part is replaced as a whole; what is focused, scrolled or opened in it stays so.
  function replace(name, html) {
    const part = by(name);
    if (!part) return;
    const key = e => e.id || e.getAttribute("aria-label") || e.closest("[id]").id + " " + e.localName;
    const inside = part.contains(document.activeElement) && document.activeElement !== part ? key(document.activeElement) : "";
    const open = [...part.querySelectorAll("details[open]")].map(e => e.id);
    const scrolled = [...part.querySelectorAll(".wide")].map(e => [key(e), e.scrollLeft]);
    part.innerHTML = html;
    localTimes(part);
    for (const id of open) if (by(id)) by(id).open = true;
    for (const e of part.querySelectorAll(".wide")) for (const [k, x] of scrolled) if (k === key(e)) e.scrollLeft = x;
    if (inside) for (const e of part.querySelectorAll("summary,a,button,[tabindex]")) if (key(e) === inside) { e.focus({preventScroll: true}); break; }
  }

  function show(html) {
    for (const none of list.querySelectorAll(".none")) none.remove();
    list.insertAdjacentHTML("afterbegin", html);
    localTimes(list.firstElementChild);
    while (list.children.length > kept) list.lastElementChild.remove();
  }
  function say() { // a burst is told in one sentence
    sayTimer = 0;
    if (!unsaid || paused) return;
    said.textContent = unsaid === 1 ? "Decision: " + newest : unsaid + " decisions, the newest: " + newest;
    unsaid = 0;
    saidAt = Date.now();
  }
  function decision(d) {
    if (paused) {
      queue.push(d.html);
      if (queue.length > kept) queue.shift();
      waiting.textContent = queue.length + " waiting";
      return;
    }
    show(d.html);
    unsaid++;
    newest = d.said;
    if (!sayTimer) sayTimer = setTimeout(say, Math.max(0, saidAt + sayEvery - Date.now()));
  }
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Resume" : "Pause";
    waiting.textContent = "";
    if (!paused) for (const html of queue.splice(0)) show(html);
  });

  const events = {
    part: d => replace(d.part, d.html),
    restart: () => { list.replaceChildren(); queue = []; },
    decision,
    // said by "swell page", which holds the line to the browser while it has none to the scaler
    lost: d => away(d.why),
    found: () => here(),
  };
  let lostSince = 0;
  function away(why) {
    if (!lostSince) lostSince = Date.now();
    const t = new Date(lostSince);
    const text = "Disconnected from the scaler since " + two(t.getHours()) + ":" + two(t.getMinutes()) + ":" + two(t.getSeconds()) +
      (why ? ": " + why : "") + ". What is shown is from before; it is tried again.";
    if (link.textContent !== text) link.textContent = text;
    link.hidden = false;
    document.body.dataset.link = "lost";
  }
  function here() {
    if (lostSince) { link.textContent = "Connected again."; setTimeout(() => { if (!lostSince) link.hidden = true; }, 5000); }
    lostSince = 0;
    document.body.dataset.link = "open";
  }

  async function read() {
    const stop = new AbortController();
    let timer = setTimeout(() => stop.abort(), silence);
    try {
      const answer = await fetch("events", {headers: {"Last-Event-ID": last}, signal: stop.signal, cache: "no-store"});
      if (!answer.ok) throw new Error(answer.status === 401 || answer.status === 403 ? "you are not allowed to see it any more; sign in anew" : "it answers " + answer.status);
      const text = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const {value, done} = await text.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(() => stop.abort(), silence);
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) {
          let kind = "", id = "", data = "";
          for (const line of block.split("\n")) {
            if (line.startsWith("event: ")) kind = line.slice(7);
            else if (line.startsWith("id: ")) id = line.slice(4);
            else if (line.startsWith("data: ")) data = line.slice(6);
          }
          if (kind && kind !== "lost") here();
          if (events[kind]) events[kind](JSON.parse(data));
          if (id) last = id;
        }
      }
    } finally {
      clearTimeout(timer);
      stop.abort();
    }
  }
  const sleep = ms => new Promise(done => setTimeout(done, ms));
  async function follow() {
    for (let wait = firstWait; ;) {
      const began = Date.now();
      let why = "";
      try { await read(); } catch (e) { why = e.name === "TypeError" || e.name === "AbortError" ? "it does not answer" : e.message; }
      if (Date.now() - began > 10000) wait = firstWait; // it had worked
      if (why) away(why);
      await sleep(wait * (0.5 + Math.random() / 2));
      wait = Math.min(2 * wait, longestWait);
    }
  }

  localTimes(document);
  by("zone").textContent = "of this browser's zone, " + Intl.DateTimeFormat().resolvedOptions().timeZone;
  follow();
})();
