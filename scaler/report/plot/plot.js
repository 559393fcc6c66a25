"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const spoken = document.getElementById("readout");
  const margin = { top: 14, right: 10, bottom: 24, left: 46 };
  const axes = data.axes.map((axis) => {
    const times = axis.times || [], last = times.length - 1;
    // the last bar is as wide as the one before
    return { ...axis, times, begin: Date.parse(axis.start + "Z"), span: times[last] || 1, whole: times.length > 1 ? 2 * times[last] - times[last - 1] : 86400, cursor: null, plots: [] };
  });
  const bands = data.bands || [];
  const day = 86400;

  const node = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const color = (series) => `var(--c${series.color % 10})`;
  const iso = (axis, seconds) => new Date(axis.begin + seconds * 1000);
  const date = (axis, seconds, long) => iso(axis, seconds).toLocaleDateString("en", { timeZone: "UTC", day: "numeric", month: "short", ...(long ? { weekday: "short" } : {}) });
  const wallClock = (axis, seconds, long) => iso(axis, seconds).toISOString().slice(11, long ? 19 : 16);
  // what a cursor's time is called: seconds matter within a day, dates beyond
  const called = (axis, seconds) => axis.days ? date(axis, seconds, true) : axis.span > day ? `${date(axis, seconds)}, ${wallClock(axis, seconds)}` : wallClock(axis, seconds, true);
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
  const timeStep = (span, width) => [60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 14400, 28800, day, 2 * day, 5 * day, 7 * day, 10 * day, 14 * day, 30 * day].find((s) => span / s <= width / 68) || 91 * day;

  class Plot {
    constructor(figure, chart) {
      this.chart = chart;
      this.axis = axes[chart.axis || 0];
      this.times = this.axis.times;
      this.hidden = new Set();
      this.box = figure.querySelector(".plot");
      this.outputs = [];
      this.dense = this.times.length > 200; // too close together for dashes and seams
      this.buildLegend(figure.querySelector(".legend"));
      this.box.addEventListener("pointermove", (event) => this.point(event));
      this.box.addEventListener("pointerdown", (event) => this.point(event));
      this.box.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") this.show(null); });
      this.box.addEventListener("keydown", (event) => this.key(event));
      this.box.addEventListener("focus", () => { if (this.axis.cursor === null && this.box.matches(":focus-visible")) this.show(0); });
      this.box.addEventListener("blur", () => this.show(null));
      this.axis.plots.push(this);
    }

    buildLegend(legend) {
      this.chart.series.forEach((series, i) => {
        const button = document.createElement("button");
        button.type = "button";
        button.setAttribute("aria-pressed", "true");
        const swatch = node("svg", { width: 18, height: 12, "aria-hidden": "true" });
        swatch.append(this.chart.stacked || this.chart.bars
          ? node("rect", { x: 2, width: 14, height: 12, rx: 2, fill: color(series) })
          : node("line", { x1: 0, x2: 18, y1: 6, y2: 6, stroke: color(series), "stroke-width": 3, "stroke-dasharray": series.dashed && !this.dense ? "5 3" : "none" }));
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
      const below = this.times.map(() => 0);
      return this.chart.series.map((series, i) => {
        if (this.hidden.has(i)) return null;
        const low = this.chart.stacked || this.chart.bars ? below.slice() : null;
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
      const step = niceStep(top || 1, ["pods", "nodes", "messages", "times"].includes(this.chart.unit));
      const max = Math.max(step, Math.ceil((top || 1) / step - 1e-9) * step);
      this.span = this.chart.bars ? this.axis.whole : this.axis.span;
      this.x = (t) => margin.left + t / this.span * (this.width - margin.left - margin.right);
      this.y = (v) => this.height - margin.bottom - v / max * (this.height - margin.top - margin.bottom);
      const svg = node("svg", { viewBox: `0 0 ${this.width} ${this.height}`, "aria-hidden": "true" });
      if (!this.chart.axis) this.drawBands(svg);
      this.drawAxes(svg, step, max);
      for (const layer of layers) this.drawLayer(svg, layer);
      this.mark = node("g", {});
      svg.append(this.mark);
      this.box.replaceChildren(svg);
      this.drawn = layers;
      this.drawCursor();
    }

    drawBands(svg) {
      const bottom = this.height - margin.bottom;
      for (const band of bands) {
        const from = this.x(band.from), rect = node("rect", { x: from, y: margin.top, width: Math.max(2, this.x(band.to) - from), height: bottom - margin.top, fill: "var(--band)" });
        rect.append(node("title", {}, band.label));
        svg.append(rect);
      }
    }

    drawAxes(svg, step, max) {
      const right = this.width - margin.right, bottom = this.height - margin.bottom;
      for (let value = 0; value <= max + step / 2; value += step) {
        const y = this.y(value);
        svg.append(node("line", { x1: margin.left, x2: right, y1: y, y2: y, class: value === 0 ? "axis" : "grid" }));
        svg.append(node("text", { x: margin.left - 8, y: y + 4, "text-anchor": "end" }, short(value)));
      }
      const every = this.axis.days ? Math.max(day, timeStep(this.span, right - margin.left)) : timeStep(this.span, right - margin.left);
      const offset = every > day ? 0 : (every - (this.axis.begin / 1000) % every) % every;
      for (let t = offset; t <= this.span - (this.chart.bars ? 1 : 0); t += every) {
        // a bar's name stands below its middle
        const x = this.x(t) + (this.chart.bars ? this.wide(t) / 2 : 0);
        svg.append(node("line", { x1: x, x2: x, y1: bottom, y2: bottom + 4, class: "axis" }));
        const anchor = x > right - 16 ? "end" : x < margin.left + 16 ? "start" : "middle";
        if (t > offset && this.x(t) - this.x(t - every) < (anchor === "end" ? 68 : 0)) continue; // it would touch the one before
        svg.append(node("text", { x, y: bottom + 18, "text-anchor": anchor }, every >= day ? date(this.axis, t) : wallClock(this.axis, t)));
      }
    }

    // wide is a bar's width, its gap included
    wide(t) {
      const i = Math.max(0, this.times.findIndex((other) => other >= t));
      return this.x(i + 1 < this.times.length ? this.times[i + 1] : this.axis.whole) - this.x(this.times[i]);
    }

    drawLayer(svg, { series, low, high }) {
      if (this.chart.bars) {
        let bars = "";
        high.forEach((value, i) => {
          if (value === null || value <= low[i]) return;
          const width = this.wide(this.times[i]), gap = Math.min(3, width * 0.15);
          const x = this.x(this.times[i]) + gap / 2, y = this.y(value);
          bars += `M${x.toFixed(1)} ${y.toFixed(1)}h${(width - gap).toFixed(1)}V${this.y(low[i]).toFixed(1)}h${(gap - width).toFixed(1)}Z`;
        });
        if (bars) svg.append(node("path", { d: bars, fill: color(series) }));
        return;
      }
      // stretches of what is known, unknown values between them
      const stretches = [];
      high.forEach((value, i) => {
        if (value === null) return;
        if (i === 0 || high[i - 1] === null) stretches.push([]);
        stretches[stretches.length - 1].push(i);
      });
      if (stretches.length === 0) return;
      const at = (list, i) => `${this.x(this.times[i]).toFixed(1)} ${this.y(list[i]).toFixed(1)}`;
      const alone = (list, i) => `M${at(list, i)}h0.01`; // a value between two unknown ones is a dot
      if (low) {
        const d = stretches.map((s) => s.length === 1 ? `M${at(high, s[0])}L${at(low, s[0])}` : "M" + s.map((i) => at(high, i)).join("L") + "L" + s.slice().reverse().map((i) => at(low, i)).join("L") + "Z").join("");
        const single = stretches.some((s) => s.length === 1);
        svg.append(node("path", { d, fill: color(series), stroke: single ? color(series) : "var(--card)", "stroke-width": single ? 2 : this.dense ? 0 : 0.75 }));
        return;
      }
      const d = stretches.map((s) => s.length === 1 ? alone(high, s[0]) : "M" + s.map((i) => at(high, i)).join("L")).join("");
      svg.append(node("path", { d, fill: "none", stroke: color(series), "stroke-width": this.dense ? 1.6 : 2.2, "stroke-linejoin": "round", "stroke-linecap": "round", "stroke-dasharray": series.dashed && !this.dense ? "6 4" : "none" }));
    }

    middle(i) { return this.chart.bars ? this.x(this.times[i]) + this.wide(this.times[i]) / 2 : this.x(this.times[i]); }

    point(event) {
      const box = this.box.getBoundingClientRect();
      const x = (event.clientX - box.left) * this.width / box.width;
      let best = 0;
      this.times.forEach((_, i) => { if (Math.abs(this.middle(i) - x) < Math.abs(this.middle(best) - x)) best = i; });
      this.show(best);
    }

    key(event) {
      const last = this.times.length - 1, at = this.axis.cursor === null ? 0 : this.axis.cursor;
      const to = { ArrowLeft: at - 1, ArrowRight: at + 1, PageUp: at - 20, PageDown: at + 20, Home: 0, End: last }[event.key];
      if (event.key === "Escape") { this.show(null); return; }
      if (to === undefined) return;
      event.preventDefault();
      this.show(Math.min(last, Math.max(0, to)), true);
    }

    // one cursor for all plots of an axis
    show(index, aloud) {
      if (index === this.axis.cursor) return;
      this.axis.cursor = index;
      for (const plot of this.axis.plots) plot.drawCursor();
      if (aloud) this.say();
    }

    drawCursor() {
      const cursor = this.axis.cursor;
      this.mark.replaceChildren();
      this.outputs.forEach((output, i) => {
        output.textContent = cursor === null || this.hidden.has(i) ? "" : number(this.chart.series[i].values[cursor]);
      });
      if (cursor === null) return;
      const x = this.middle(cursor);
      this.mark.append(node("line", { x1: x, x2: x, y1: margin.top, y2: this.height - margin.bottom, class: "cursor" }));
      const anchor = x > this.width - 60 ? "end" : x < margin.left + 40 ? "start" : "middle";
      this.mark.append(node("text", { x, y: 10, class: "time", "text-anchor": anchor }, called(this.axis, this.times[cursor])));
      for (const { series, high, low } of this.drawn) {
        if (low || high[cursor] === null || high[cursor] === undefined) continue;
        this.mark.append(node("circle", { cx: x, cy: this.y(high[cursor]), r: 4, fill: color(series), stroke: "var(--card)", "stroke-width": 1.5 }));
      }
    }

    say() {
      const values = this.chart.series.filter((_, i) => !this.hidden.has(i)).map((s) => `${s.name} ${number(s.values[this.axis.cursor])}`);
      spoken.textContent = `${called(this.axis, this.times[this.axis.cursor])}: ${values.join(", ")} ${this.chart.unit}`;
    }
  }

  const plots = [];
  for (const chart of data.charts) {
    const figure = document.querySelector(`[data-chart="${CSS.escape(chart.id)}"]`);
    if (axes[chart.axis || 0].times.length > 0) plots.push(new Plot(figure, chart));
  }
  const drawAll = () => { for (const plot of plots) plot.draw(); };
  drawAll();
  performance.mark("plots drawn"); // what bench/opening measures
  let width = window.innerWidth;
  window.addEventListener("resize", () => { if (window.innerWidth !== width) { width = window.innerWidth; drawAll(); } });
  window.addEventListener("beforeprint", drawAll);
  document.documentElement.dataset.plots = String(plots.length);
})();
