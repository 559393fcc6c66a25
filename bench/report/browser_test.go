package report

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestBrowser opens the page as a reader would: every plot is drawn, nothing is logged, nothing is asked for.
func TestBrowser(t *testing.T) {
	binary := chromium(t)
	s, lines := sample()
	body, err := HTML(s, lines)
	if err != nil {
		t.Fatal(err)
	}
	var seen witness
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.note(&seen.asked, r.URL.Path)
		_, _ = w.Write(body)
	}))
	defer server.Close()
	ctx, cancel := browser(t, binary, seen.listen)
	defer cancel()
	if err := chromedp.Do(ctx, watchNetwork, chromedp.EmulateViewport(390, 844), chromedp.Navigate(server.URL), chromedp.WaitVisible(chromedp.CSS(".plot svg"))); err != nil {
		t.Fatal(err)
	}
	plots := read[int](ctx, t, `Number(document.documentElement.dataset.plots)`)
	drawn := read[int](ctx, t, `[...document.querySelectorAll(".plot")].filter(p => p.querySelector("path")).length`)
	if read[bool](ctx, t, `document.documentElement.scrollWidth > window.innerWidth`) {
		t.Error("the page is wider than a phone")
	}
	if err := chromedp.Do(ctx, chromedp.Focus(chromedp.CSS(`[data-chart="cost"] .plot`)), chromedp.KeyEvent(kb.End)); err != nil {
		t.Fatal(err)
	}
	if readout := read[string](ctx, t, `document.getElementById("readout").textContent`); readout != "17:30:00: swell 26, reactive 26 $" {
		t.Errorf("the End key reads out %q", readout)
	}
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`[data-chart="cost"] .legend button`))); err != nil {
		t.Fatal(err)
	}
	if hidden := read[int](ctx, t, `document.querySelectorAll('[data-chart="cost"] [aria-pressed="false"]').length`); hidden != 1 {
		t.Errorf("%d series are hidden after a click on one", hidden)
	}
	if want := len(buildPlots(s, lines).Charts); plots != want || drawn != want {
		t.Errorf("%d plots, %d with a line, want %d", plots, drawn, want)
	}
	seen.check(t)
}

// witness notes what the browser complains about and asks for.
type witness struct {
	mu                          sync.Mutex
	complaints, requests, asked []string
}

func (w *witness) note(list *[]string, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*list = append(*list, text)
}

func (w *witness) listen(event any) {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		w.note(&w.complaints, fmt.Sprintf("console %s", e.Type))
	case *runtime.EventExceptionThrown:
		w.note(&w.complaints, e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		w.note(&w.complaints, e.Entry.Text)
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "data:") {
			w.note(&w.requests, e.Request.URL)
		}
	}
}

func (w *witness) check(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.complaints) > 0 {
		t.Errorf("the browser complains: %q", w.complaints)
	}
	if len(w.requests) != 1 || len(w.asked) != 1 {
		t.Errorf("requests %q, asked of the server %q, want the page alone", w.requests, w.asked)
	}
}

func watchNetwork(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
	_, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{})
	return chromedp.Void{}, err
}

func read[T any](ctx context.Context, t *testing.T, expression string) T {
	t.Helper()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return value
}

func browser(t *testing.T, binary string, listen func(any)) (context.Context, context.CancelFunc) {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(binary), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.WSURLReadTimeout(time.Minute))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithListener(listen))
	return ctx, func() { cancel(); stop() }
}

func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	for word := range strings.SplitSeq(os.Getenv("SWELL_REQUIRE"), ",") {
		if strings.TrimSpace(word) == "chromium" {
			t.Fatal("chromium is required and not installed: apt-get install chromium")
		}
	}
	t.Skip("skipped: chromium is not installed")
	return ""
}
