package render

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// pictures is where the page's are kept, for people to look at.
const pictures = "../../../out/pictures/report"

// TestBrowser opens a month's page as a reader would, on a phone and a desktop, by day and by night.
func TestBrowser(t *testing.T) {
	binary := chromium(t)
	r := month(t)
	var body bytes.Buffer
	if err := HTML(&body, r); err != nil {
		t.Fatal(err)
	}
	var seen witness
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.note(&seen.asked, r.URL.Path)
		_, _ = w.Write(body.Bytes())
	}))
	defer server.Close()
	ctx, cancel := browser(t, binary, seen.listen)
	defer cancel()
	if err := os.MkdirAll(pictures, 0o755); err != nil {
		t.Fatal(err)
	}
	backgrounds := map[string]string{}
	opened := 0
	for _, screen := range []struct {
		name          string
		width, height int64
		scheme        string
	}{{"desktop-light", 1280, 900, "light"}, {"desktop-dark", 1280, 900, "dark"}, {"phone-light", 360, 740, "light"}, {"phone-dark", 360, 740, "dark"}} {
		opened++
		if err := chromedp.Do(ctx, watchNetwork, chromedp.EmulateViewport(screen.width, screen.height), scheme(screen.scheme), chromedp.Navigate(server.URL), chromedp.WaitVisible(chromedp.CSS(".plot svg"))); err != nil {
			t.Fatal(err)
		}
		plots, want := read[int](ctx, t, `[...document.querySelectorAll(".plot")].filter(p => p.querySelector("path")).length`), len(plots(r).Charts)
		if plots != want || want < 6 {
			t.Errorf("%s: %d plots have a line, want %d", screen.name, plots, want)
		}
		if width := read[int](ctx, t, `document.documentElement.scrollWidth`); width > int(screen.width) {
			t.Errorf("%s: the page is %d px wide", screen.name, width)
		}
		backgrounds[screen.name] = read[string](ctx, t, `getComputedStyle(document.body).backgroundColor + getComputedStyle(document.querySelector(".tile")).color`)
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(90))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(pictures, screen.name+".jpg"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if backgrounds["phone-light"] == backgrounds["phone-dark"] || backgrounds["desktop-light"] == backgrounds["desktop-dark"] {
		t.Errorf("light and dark look alike: %v", backgrounds)
	}
	useKeyboard(ctx, t)
	sortTable(ctx, t)
	seen.check(t, opened)
}

// picture opens a page and keeps how it looks, where there is a browser.
func picture(t *testing.T, name string, body []byte) {
	t.Helper()
	binary := chromium(t)
	var seen witness
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.note(&seen.asked, r.URL.Path)
		_, _ = w.Write(body)
	}))
	defer server.Close()
	ctx, cancel := browser(t, binary, seen.listen)
	defer cancel()
	if err := chromedp.Do(ctx, watchNetwork, chromedp.EmulateViewport(900, 900), chromedp.Navigate(server.URL), chromedp.WaitVisible(chromedp.CSS(".plot svg"))); err != nil {
		t.Fatal(err)
	}
	shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(90))
	if err == nil {
		err = os.MkdirAll(pictures, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(pictures, name+".jpg"), shot, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	seen.check(t, 1)
}

// useKeyboard reads values and hides a series as someone without a mouse does.
func useKeyboard(ctx context.Context, t *testing.T) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.Focus(chromedp.CSS(`[data-chart="cost"] .plot`)), chromedp.KeyEvent(kb.End)); err != nil {
		t.Fatal(err)
	}
	readout := read[string](ctx, t, `document.getElementById("readout").textContent`)
	if !strings.HasPrefix(readout, "Sun, Nov 29: on-demand ") || !strings.HasSuffix(readout, " $") {
		t.Errorf("the End key reads out %q", readout)
	}
	before := read[string](ctx, t, `document.querySelector('[data-chart="cost"] svg[viewBox]').outerHTML`)
	if err := chromedp.Do(ctx, chromedp.Focus(chromedp.CSS(`[data-chart="cost"] .legend button`)), chromedp.KeyEvent(kb.Enter)); err != nil {
		t.Fatal(err)
	}
	if hidden := read[int](ctx, t, `document.querySelectorAll('[data-chart="cost"] [aria-pressed="false"]').length`); hidden != 1 {
		t.Errorf("%d series are hidden after one was pressed", hidden)
	}
	if read[string](ctx, t, `document.querySelector('[data-chart="cost"] .plot svg').outerHTML`) == before {
		t.Error("the plot is the same without the series")
	}
}

// sortTable presses a column's name, twice.
func sortTable(ctx context.Context, t *testing.T) {
	t.Helper()
	const column = `[...document.querySelectorAll('section[aria-labelledby="pools"] tbody tr')].map(r => r.cells[6].textContent).join(" ")`
	press := func() string {
		read[bool](ctx, t, `document.querySelectorAll('section[aria-labelledby="pools"] thead button')[6].click() === undefined`)
		return read[string](ctx, t, column)
	}
	falling, rising := strings.Fields(press()), strings.Fields(press())
	if len(falling) != 5 || falling[0] != rising[4] || falling[4] != rising[0] || falling[0] == falling[4] {
		t.Errorf("falling %v, rising %v", falling, rising)
	}
	if got := read[string](ctx, t, `document.querySelector('section[aria-labelledby="pools"] [aria-sort]').getAttribute("aria-sort")`); got != "ascending" {
		t.Errorf("aria-sort is %q", got)
	}
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

func (w *witness) check(t *testing.T, opened int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.complaints) > 0 {
		t.Errorf("the browser complains: %q", w.complaints)
	}
	if len(w.requests) != opened || len(w.asked) != opened {
		t.Errorf("requests %q, asked of the server %q, want the page alone, %d times", w.requests, w.asked, opened)
	}
}

func watchNetwork(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
	_, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{})
	return chromedp.Void{}, err
}

func scheme(name string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return chromedp.Void{}, err
	}
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
