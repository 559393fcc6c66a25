"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const times = data.times || [];
  const spoken = document.getElementById("readout");
  const start = Date.parse(data.start + "Z");
  const margin = { top: 14, right: 10, bottom: 24, left: 46 };
  const plots = [];
  let cursor = null;

  const node = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const color = (series) => `var(--c${series.color % 10})`;
  const wallClock = (seconds, long) => new Date(start + seconds * 1000).toISOString().slice(11, long ? 19 : 16);
  const number = (value) => {
    if (value === null || value === undefined) return "–";
    const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 10 ? 1 : 2;
    return value.toLocaleString("en", { maximumFractionDigits: digits });
  };
  const short = (value) => value >= 1e6 ? number(value / 1e6) + "M" : value >= 1e4 ? number(value / 1e3) + "k" : number(value);

  // a step of 1, 2 or 5 times a power of ten that gives about four lines
  const niceStep = (top, whole) => {
    const rough = top / 4, power = Math.pow(10, Math.floor(Math.log10(rough)));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
    return whole ? Math.max(1, step) : step;
  };
  const timeStep = (span, width) => [60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 14400].find((s) => span / s <= width / 62) || 28800;

  class Plot {
    constructor(figure, chart) {
      this.chart = chart;
      this.hidden = new Set();
      this.box = figure.querySelector(".plot");
      this.outputs = [];
      this.buildLegend(figure.querySelector(".legend"));
      this.box.addEventListener("pointermove", (event) => this.point(event));
      this.box.addEventListener("pointerdown", (event) => this.point(event));
      this.box.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") show(null); });
      this.box.addEventListener("keydown", (event) => this.key(event));
      this.box.addEventListener("focus", () => { if (cursor === null && this.box.matches(":focus-visible")) show(0, this); });
      this.box.addEventListener("blur", () => show(null));
    }

    buildLegend(legend) {
      this.chart.series.forEach((series, i) => {
        const button = document.createElement("button");
        button.type = "button";
        button.setAttribute("aria-pressed", "true");
        const swatch = node("svg", { width: 18, height: 12, "aria-hidden": "true" });
        swatch.append(this.chart.stacked
          ? node("rect", { x: 2, width: 14, height: 12, rx: 2, fill: color(series) })
          : node("line", { x1: 0, x2: 18, y1: 6, y2: 6, stroke: color(series), "stroke-width": 3, "stroke-dasharray": series.dashed ? "5 3" : "none" }));
        const output = document.createElement("output");
        button.append(swatch, series.name, output);
        button.addEventListener("click", () => {
          if (!this.hidden.delete(i)) this.hidden.add(i);
          button.setAttribute("aria-pressed", String(!this.hidden.has(i)));
          this.draw();
        });
        this.outputs.push(output);
        legend.append(button);
      });
    }

    // layers with what lies below each of them
    layers() {
      const below = times.map(() => 0);
      return this.chart.series.map((series, i) => {
        if (this.hidden.has(i)) return null;
        const low = this.chart.stacked ? below.slice() : null;
        const high = series.values.map((value, t) => value === null ? null : value + (low ? low[t] : 0));
        if (low) high.forEach((value, t) => { if (value !== null) below[t] = value; });
        return { series, low, high };
      }).filter(Boolean);
    }

    draw() {
      this.width = Math.max(260, this.box.clientWidth);
      this.height = this.width < 420 ? 190 : 220;
      const layers = this.layers();
      let top = 0;
      for (const layer of layers) for (const value of layer.high) if (value > top) top = value;
      const step = niceStep(top || 1, ["pods", "nodes", "messages"].includes(this.chart.unit));
      const max = Math.max(step, Math.ceil((top || 1) / step - 1e-9) * step);
      const span = times[times.length - 1] || 1;
      this.x = (t) => margin.left + t / span * (this.width - margin.left - margin.right);
      this.y = (v) => this.height - margin.bottom - v / max * (this.height - margin.top - margin.bottom);
      const svg = node("svg", { viewBox: `0 0 ${this.width} ${this.height}`, "aria-hidden": "true" });
      this.drawBands(svg);
      this.drawAxes(svg, step, max, span);
      for (const layer of layers) this.drawLayer(svg, layer);
      this.mark = node("g", {});
      svg.append(this.mark);
      this.box.replaceChildren(svg);
      this.drawn = layers;
      this.drawCursor();
    }

    drawBands(svg) {
      const bottom = this.height - margin.bottom;
      for (const band of data.bands) {
        const from = this.x(band.from), rect = node("rect", { x: from, y: margin.top, width: Math.max(2, this.x(band.to) - from), height: bottom - margin.top, fill: "var(--band)" });
        rect.append(node("title", {}, band.label));
        svg.append(rect);
      }
    }

    drawAxes(svg, step, max, span) {
      const right = this.width - margin.right, bottom = this.height - margin.bottom;
      for (let value = 0; value <= max + step / 2; value += step) {
        const y = this.y(value);
        svg.append(node("line", { x1: margin.left, x2: right, y1: y, y2: y, class: value === 0 ? "axis" : "grid" }));
        svg.append(node("text", { x: margin.left - 8, y: y + 4, "text-anchor": "end" }, short(value)));
      }
      const every = timeStep(span, right - margin.left);
      const offset = (every - (start / 1000) % every) % every;
      for (let t = offset; t <= span; t += every) {
        const x = this.x(t);
        svg.append(node("line", { x1: x, x2: x, y1: bottom, y2: bottom + 4, class: "axis" }));
        const anchor = x > right - 16 ? "end" : x < margin.left + 16 ? "start" : "middle";
        svg.append(node("text", { x, y: bottom + 18, "text-anchor": anchor }, wallClock(t)));
      }
    }

    drawLayer(svg, { series, low, high }) {
      let line = "", open = false;
      high.forEach((value, i) => {
        if (value === null) { open = false; return; }
        line += `${open ? "L" : "M"}${this.x(times[i]).toFixed(1)} ${this.y(value).toFixed(1)}`;
        open = true;
      });
      if (!line) return;
      if (low) {
        const back = low.map((value, i) => `L${this.x(times[i]).toFixed(1)} ${this.y(value).toFixed(1)}`).reverse().join("");
        svg.append(node("path", { d: line + back + "Z", fill: color(series), stroke: "var(--card)", "stroke-width": 0.75 }));
        return;
      }
      svg.append(node("path", { d: line, fill: "none", stroke: color(series), "stroke-width": 2.2, "stroke-linejoin": "round", "stroke-dasharray": series.dashed ? "6 4" : "none" }));
    }

    point(event) {
      const box = this.box.getBoundingClientRect();
      const share = ((event.clientX - box.left) * this.width / box.width - margin.left) / (this.width - margin.left - margin.right);
      const at = Math.min(1, Math.max(0, share)) * times[times.length - 1];
      let best = 0;
      times.forEach((t, i) => { if (Math.abs(t - at) < Math.abs(times[best] - at)) best = i; });
      show(best, this);
    }

    key(event) {
      const last = times.length - 1, at = cursor === null ? 0 : cursor;
      const to = { ArrowLeft: at - 1, ArrowRight: at + 1, PageUp: at - 20, PageDown: at + 20, Home: 0, End: last }[event.key];
      if (event.key === "Escape") { show(null); return; }
      if (to === undefined) return;
      event.preventDefault();
      show(Math.min(last, Math.max(0, to)), this, true);
    }

    drawCursor() {
      this.mark.replaceChildren();
      this.outputs.forEach((output, i) => {
        output.textContent = cursor === null || this.hidden.has(i) ? "" : number(this.chart.series[i].values[cursor]);
      });
      if (cursor === null) return;
      const x = this.x(times[cursor]);
      this.mark.append(node("line", { x1: x, x2: x, y1: margin.top, y2: this.height - margin.bottom, class: "cursor" }));
      const anchor = x > this.width - 60 ? "end" : x < margin.left + 40 ? "start" : "middle";
      this.mark.append(node("text", { x, y: 10, class: "time", "text-anchor": anchor }, wallClock(times[cursor], true)));
      for (const { series, high, low } of this.drawn) {
        if (low || high[cursor] === null || high[cursor] === undefined) continue;
        this.mark.append(node("circle", { cx: x, cy: this.y(high[cursor]), r: 4, fill: color(series), stroke: "var(--card)", "stroke-width": 1.5 }));
      }
    }

    say() {
      const values = this.chart.series.filter((_, i) => !this.hidden.has(i)).map((s) => `${s.name} ${number(s.values[cursor])}`);
      spoken.textContent = `${wallClock(times[cursor], true)}: ${values.join(", ")} ${this.chart.unit}`;
    }
  }

  // one cursor for all plots
  function show(index, from, aloud) {
    if (index === cursor) return;
    cursor = index;
    for (const plot of plots) plot.drawCursor();
    if (aloud) from.say();
  }

  for (const chart of data.charts) {
    const figure = document.querySelector(`[data-chart="${CSS.escape(chart.id)}"]`);
    if (times.length > 0) plots.push(new Plot(figure, chart));
  }
  const drawAll = () => { for (const plot of plots) plot.draw(); };
  drawAll();
  let width = window.innerWidth;
  window.addEventListener("resize", () => { if (window.innerWidth !== width) { width = window.innerWidth; drawAll(); } });
  window.addEventListener("beforeprint", drawAll);
  document.documentElement.dataset.plots = String(plots.length);
})();
