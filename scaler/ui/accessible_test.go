package ui_test

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"swell/bench/browser"
)

// audit says what keeps a page from those who see little, hear it read, or have no mouse: names, landmarks, headings, tables,
// and the contrast of every text with what it stands on.
const audit = `(() => {
  const bad = [];
  const text = e => (e.textContent || "").trim();
  if (!document.documentElement.lang) bad.push("the page has no language");
  if (!document.title) bad.push("the page has no title");
  for (const landmark of ["header", "nav", "main", "footer"]) if (document.querySelectorAll(landmark).length !== 1) bad.push("there is not one " + landmark);
  if (document.querySelectorAll("h1").length !== 1) bad.push("there is not one h1");
  let level = 0;
  for (const h of document.querySelectorAll("h1,h2,h3,h4")) {
    if (+h.localName[1] > level + 1) bad.push("a level of headings is left out before " + text(h));
    level = +h.localName[1];
  }
  const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) bad.push("two have the id " + id);
  for (const e of document.querySelectorAll("[aria-labelledby]")) if (!text(document.getElementById(e.getAttribute("aria-labelledby")) || e.ownerDocument.createElement("i"))) bad.push("nothing labels " + e.outerHTML.slice(0, 80));
  for (const e of document.querySelectorAll("a,button,summary,section,[tabindex='0'],[role=img],[role=region]"))
    if (!e.hidden && !(e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || text(e))) bad.push("without a name: " + e.outerHTML.slice(0, 80));
  const regions = [...document.querySelectorAll("section[aria-labelledby],[role=region]")].map(e => e.getAttribute("aria-label") || text(document.getElementById(e.getAttribute("aria-labelledby"))));
  for (const r of regions) if (regions.indexOf(r) !== regions.lastIndexOf(r)) bad.push("two regions have the name " + r);
  for (const a of document.querySelectorAll("a[href^='#']")) if (!document.querySelector(a.getAttribute("href"))) bad.push("a link leads nowhere: " + a.getAttribute("href"));
  for (const t of document.querySelectorAll("table")) {
    if (!t.caption || !text(t.caption)) bad.push("a table has no caption");
    for (const th of t.querySelectorAll("th")) if (!th.scope) bad.push("a heading of a table has no scope: " + text(th));
  }
  for (const s of document.querySelectorAll("svg")) if (s.getAttribute("aria-hidden") !== "true" && !s.getAttribute("aria-label")) bad.push("a picture has no text");
  for (const e of document.querySelectorAll("[style]")) bad.push("an inline style, which the policy refuses: " + e.outerHTML.slice(0, 80));
  if (!document.querySelector("[role=status][aria-live=polite]")) bad.push("nothing announces what changes");
  const colour = c => { const m = c.match(/[\d.]+/g).map(Number); return [m[0], m[1], m[2], m.length > 3 ? m[3] : 1]; };
  const light = c => { const l = c.slice(0, 3).map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2]; };
  const ground = e => { for (; e; e = e.parentElement) { const c = colour(getComputedStyle(e).backgroundColor); if (c[3] > 0.99) return c; } return [255, 255, 255, 1]; };
  let seen = 0;
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length || e.closest(".unseen,.skip,noscript")) continue;
    const style = getComputedStyle(e), a = light(colour(style.color)), b = light(ground(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), large = parseFloat(style.fontSize) >= 24;
    seen++;
    if (ratio < (large ? 3 : 4.5)) bad.push("contrast " + ratio.toFixed(2) + ": " + text(e).slice(0, 40));
  }
  if (seen < 30) bad.push("only " + seen + " texts were looked at");
  return [...new Set(bad)].join("\n");
})()`

// accessible audits the page in both schemes, and walks through it by the keyboard alone.
func accessible(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900), browser.Prefers(scheme)); err != nil {
			t.Fatal(err)
		}
		if bad := browser.Read[string](ctx, t, audit); bad != "" {
			t.Errorf("%s:\n%s", scheme, bad)
		}
	}
	press := func(keys string) {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.KeyEvent(keys)); err != nil {
			t.Fatal(err)
		}
	}
	const focused = `(() => { const e = document.activeElement, s = getComputedStyle(e); return (e.id || e.getAttribute("aria-label") || e.textContent.trim()).slice(0, 40) +
		(s.outlineStyle === "none" || parseFloat(s.outlineWidth) < 2 ? " (focus cannot be seen)" : ""); })()`
	browser.Read[bool](ctx, t, `(document.activeElement.blur(), window.scrollTo(0, 0), true)`)
	press(kb.Tab)
	if got := browser.Read[string](ctx, t, focused); got != "Skip to the content" {
		t.Errorf("the first stop is %q", got)
	}
	press(kb.Enter)
	if got := browser.Read[string](ctx, t, `location.hash`); got != "#main" {
		t.Errorf("the skip link leads to %q", got)
	}
	stops := map[string]bool{}
	for range 60 {
		press(kb.Tab)
		got := browser.Read[string](ctx, t, focused)
		if strings.Contains(got, "cannot be seen") {
			t.Errorf("a stop: %s", got)
		}
		stops[got] = true
		if got == "pause" {
			break
		}
	}
	for _, want := range []string{"Nodes by zone", "As a table", "Pods without a node", "Balloons by zone", "Groups", "pause"} {
		if !stops[want] {
			t.Errorf("%s is not reached by Tab: %v", want, stops)
		}
	}
	press(kb.Enter)
	if got := browser.Read[string](ctx, t, `document.getElementById("pause").getAttribute("aria-pressed") + " " + document.getElementById("pause").textContent`); got != "true Resume" {
		t.Errorf("Enter on Pause: %q", got)
	}
}

// paused looks that decisions wait while the list is paused, and come when it goes on.
func paused(ctx context.Context, t *testing.T) (resume func()) {
	t.Helper()
	before := browser.Read[string](ctx, t, `document.querySelector("#decisions li").dataset.id`)
	return func() {
		t.Helper()
		if now := browser.Read[string](ctx, t, `document.querySelector("#decisions li").dataset.id`); now != before {
			t.Error("decisions came to a list that is paused")
		}
		if waiting := browser.Read[string](ctx, t, `document.getElementById("waiting").textContent`); !strings.HasSuffix(waiting, " waiting") {
			t.Errorf("of those that wait it says %q", waiting)
		}
		if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS("#pause"))); err != nil {
			t.Fatal(err)
		}
		if now := browser.Read[string](ctx, t, `document.querySelector("#decisions li").dataset.id`); now == before {
			t.Error("what waited did not come")
		}
	}
}
