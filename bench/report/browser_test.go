package report

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"swell/bench/browser"
)

// TestBrowser opens the page as a reader would: every plot is drawn, nothing is logged, nothing is asked for.
func TestBrowser(t *testing.T) {
	ctx, seen := browser.Open(t)
	s, lines := sample()
	body, err := HTML(s, lines)
	if err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, browser.Looks[0].Emulate(), chromedp.Navigate(seen.Serve(t, body)), chromedp.WaitVisible(chromedp.CSS(".plot svg"))); err != nil {
		t.Fatal(err)
	}
	plots := browser.Read[int](ctx, t, `Number(document.documentElement.dataset.plots)`)
	drawn := browser.Read[int](ctx, t, `[...document.querySelectorAll(".plot")].filter(p => p.querySelector("path")).length`)
	if browser.Read[bool](ctx, t, `document.documentElement.scrollWidth > window.innerWidth`) {
		t.Error("the page is wider than a phone")
	}
	if err := chromedp.Do(ctx, chromedp.Focus(chromedp.CSS(`[data-chart="cost"] .plot`)), chromedp.KeyEvent(kb.End)); err != nil {
		t.Fatal(err)
	}
	if readout := browser.Read[string](ctx, t, `document.getElementById("readout").textContent`); readout != "17:30:00: swell 26, reactive 26 $" {
		t.Errorf("the End key reads out %q", readout)
	}
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`[data-chart="cost"] .legend button`))); err != nil {
		t.Fatal(err)
	}
	if hidden := browser.Read[int](ctx, t, `document.querySelectorAll('[data-chart="cost"] [aria-pressed="false"]').length`); hidden != 1 {
		t.Errorf("%d series are hidden after a click on one", hidden)
	}
	if want := len(buildPlots(s, lines).Charts); plots != want || drawn != want {
		t.Errorf("%d plots, %d with a line, want %d", plots, drawn, want)
	}
	seen.Alone(t, 1)
}
