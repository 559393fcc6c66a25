package render

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"swell/bench/browser"
	"swell/scaler/ledger"
	"swell/scaler/report"
)

// TestBrowser opens a month's page as a reader would, on a phone and a desktop, by day and by night.
func TestBrowser(t *testing.T) {
	ctx, seen := browser.Open(t)
	r := month(t)
	var body bytes.Buffer
	if err := HTML(&body, r); err != nil {
		t.Fatal(err)
	}
	address := seen.Serve(t, body.Bytes())
	backgrounds := map[string]string{}
	for _, look := range browser.Looks {
		if err := chromedp.Do(ctx, look.Emulate(), chromedp.Navigate(address), chromedp.WaitVisible(chromedp.CSS(".plot svg"))); err != nil {
			t.Fatal(err)
		}
		plots, want := browser.Read[int](ctx, t, `[...document.querySelectorAll(".plot")].filter(p => p.querySelector("path")).length`), len(plots(r).Charts)
		if plots != want || want < 6 {
			t.Errorf("%s: %d plots have a line, want %d", look.Name(), plots, want)
		}
		if width := browser.Read[int](ctx, t, `document.documentElement.scrollWidth`); width > int(look.Width) {
			t.Errorf("%s: the page is %d px wide", look.Name(), width)
		}
		if wide := browser.Read[string](ctx, t, `[...document.querySelectorAll(".scroll")].filter(s => s.scrollWidth > s.clientWidth).map(s => s.getAttribute("aria-labelledby")).join(" ")`); wide != "" && look.Screen == "desktop" {
			t.Errorf("%s: these tables are wider than the page: %s", look.Name(), wide)
		}
		backgrounds[look.Name()] = browser.Read[string](ctx, t, `getComputedStyle(document.body).backgroundColor + getComputedStyle(document.querySelector(".tile")).color`)
		browser.Keep(ctx, t, "report/"+look.Name())
	}
	if backgrounds["phone-light"] == backgrounds["phone-dark"] || backgrounds["desktop-light"] == backgrounds["desktop-dark"] {
		t.Errorf("light and dark look alike: %v", backgrounds)
	}
	useKeyboard(ctx, t)
	sortTable(ctx, t)
	seen.Alone(t, len(browser.Looks))
}

// picture opens a page and keeps how it looks, where there is a browser.
func picture(t *testing.T, name string, body []byte) {
	t.Helper()
	ctx, seen := browser.Open(t)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(900, 900), chromedp.Navigate(seen.Serve(t, body)), chromedp.WaitVisible(chromedp.CSS("footer"))); err != nil {
		t.Fatal(err)
	}
	browser.Keep(ctx, t, "report/"+name)
	seen.Alone(t, 1)
}

// useKeyboard reads values and hides a series as someone without a mouse does.
func useKeyboard(ctx context.Context, t *testing.T) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.Focus(chromedp.CSS(`[data-chart="cost"] .plot`)), chromedp.KeyEvent(kb.End)); err != nil {
		t.Fatal(err)
	}
	readout := browser.Read[string](ctx, t, `document.getElementById("readout").textContent`)
	if !strings.HasPrefix(readout, "Sun, Nov 29: on-demand ") || !strings.HasSuffix(readout, " $ a day") {
		t.Errorf("the End key reads out %q", readout)
	}
	before := browser.Read[string](ctx, t, `document.querySelector('[data-chart="cost"] svg[viewBox]').outerHTML`)
	if err := chromedp.Do(ctx, chromedp.Focus(chromedp.CSS(`[data-chart="cost"] .legend button`)), chromedp.KeyEvent(kb.Enter)); err != nil {
		t.Fatal(err)
	}
	if hidden := browser.Read[int](ctx, t, `document.querySelectorAll('[data-chart="cost"] [aria-pressed="false"]').length`); hidden != 1 {
		t.Errorf("%d series are hidden after one was pressed", hidden)
	}
	if browser.Read[string](ctx, t, `document.querySelector('[data-chart="cost"] .plot svg').outerHTML`) == before {
		t.Error("the plot is the same without the series")
	}
}

// sortTable presses a column's name, twice.
func sortTable(ctx context.Context, t *testing.T) {
	t.Helper()
	const column = `[...document.querySelectorAll('section[aria-labelledby="pools"] tbody tr')].map(r => r.cells[6].textContent).join(" ")`
	press := func() string {
		browser.Read[bool](ctx, t, `document.querySelectorAll('section[aria-labelledby="pools"] thead button')[6].click() === undefined`)
		return browser.Read[string](ctx, t, column)
	}
	falling, rising := strings.Fields(press()), strings.Fields(press())
	if len(falling) != 5 || falling[0] != rising[4] || falling[4] != rising[0] || falling[0] == falling[4] {
		t.Errorf("falling %v, rising %v", falling, rising)
	}
	if got := browser.Read[string](ctx, t, `document.querySelector('section[aria-labelledby="pools"] [aria-sort]').getAttribute("aria-sort")`); got != "ascending" {
		t.Errorf("aria-sort is %q", got)
	}
}

// An hour that nobody looked at is a gap in a plot, and what was asked for in the others is the mean of the time that somebody did.
func TestUnknownHoursAreNotBridged(t *testing.T) {
	from := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	var entries []ledger.Entry
	for _, minute := range []int{0, 5, 60, 65, 70, 180, 185, 240} { // nobody between 11:00 and 12:00
		entries = append(entries, ledger.Entry{Model: from.Add(time.Duration(minute) * time.Minute), Action: "sample", Sample: &ledger.Sample{Groups: []ledger.GroupUse{
			{Pool: "general", Zone: "a", Market: "spot", Nodes: 1, Allocatable: ledger.Resources{Cores: 4, Memory: 8}, Asked: ledger.Resources{Cores: 3, Memory: 1}}}}})
	}
	r, err := report.Make(slices.Values(append(entries, ledger.Entry{Model: from.Add(5 * time.Hour), Action: "start"})), report.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range plots(r).Charts {
		if c.ID != "cores" {
			continue
		}
		for i, v := range c.Series[0].Values {
			if (v == nil) != (i == 2) || v != nil && *v != 3 {
				t.Errorf("hour %d: %v cores asked for, want 3, and none known of hour 2", i, v)
			}
		}
	}
	var body bytes.Buffer
	if err := HTML(&body, r); err != nil {
		t.Fatal(err)
	}
	ctx, seen := browser.Open(t)
	if err := chromedp.Do(ctx, browser.Looks[0].Emulate(), chromedp.Navigate(seen.Serve(t, body.Bytes())), chromedp.WaitVisible(chromedp.CSS(".plot svg"))); err != nil {
		t.Fatal(err)
	}
	if got := browser.Read[int](ctx, t, `document.querySelector('[data-chart="cores"] .plot path').getAttribute("d").match(/M/g).length`); got != 2 {
		t.Errorf("what was asked for is drawn in %d stretches, want 2", got)
	}
	seen.Alone(t, 1)
}
