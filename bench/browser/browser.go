// Package browser opens pages in Chromium for tests, as a reader would, and notes what the browser complains about and asks for.
package browser

import (
	"context"
	"errors"
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
)

// longest is how long a test may use a browser: one that hangs fails the test, and not the whole run.
const longest = 4 * time.Minute

// Binary is the path of an installed Chromium.
func Binary() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("chromium is not installed; apt-get install chromium")
}

// Options start a Chromium that asks for nothing by itself, on a profile of its own.
func Options(binary, profile string) []chromedp.ExecAllocatorOption {
	return append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(binary), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.UserDataDir(profile), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.WSURLReadTimeout(time.Minute))
}

// Open starts a browser that ends with the test. Without one the test is skipped, unless SWELL_REQUIRE names chromium.
func Open(t *testing.T) (context.Context, *Witness) {
	t.Helper()
	binary, err := Binary()
	if err != nil {
		for word := range strings.SplitSeq(os.Getenv("SWELL_REQUIRE"), ",") {
			if strings.TrimSpace(word) == "chromium" {
				t.Fatal(err)
			}
		}
		t.Skip("skipped:", err)
	}
	w := &Witness{}
	allocator, stop := chromedp.NewExecAllocator(t.Context(), Options(binary, t.TempDir())...)
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithListener(w.listen))
	ctx, late := context.WithTimeout(ctx, longest)
	t.Cleanup(func() { late(); cancel(); stop() })
	watch := func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{})
		return chromedp.Void{}, err
	}
	if err := chromedp.Do(ctx, watch); err != nil {
		t.Fatalf("starting chromium: %v", err)
	}
	return ctx, w
}

// Serve has the page answered under an address of its own, whatever path is asked for, until the test ends.
func (w *Witness) Serve(t *testing.T, page []byte) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.note(&w.served, r.URL.Path)
		_, _ = rw.Write(page)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// Read is the value of an expression in the page.
func Read[T any](ctx context.Context, t *testing.T, expression string) T {
	t.Helper()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// Prefers has the page shown as to somebody who prefers light or dark.
func Prefers(scheme string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return chromedp.Void{}, err
	}
}

// Look is how somebody looks at a page.
type Look struct {
	Screen, Scheme string
	Width, Height  int64
}

// Looks are a phone and a desktop, by day and by night.
var Looks = []Look{{"phone", "light", 390, 844}, {"phone", "dark", 390, 844}, {"desktop", "light", 1280, 900}, {"desktop", "dark", 1280, 900}}

// Name is such as phone-dark.
func (l Look) Name() string { return l.Screen + "-" + l.Scheme }

// Emulate has the page shown so.
func (l Look) Emulate() chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		if _, err := chromedp.EmulateViewport(l.Width, l.Height)(ctx, target); err != nil {
			return chromedp.Void{}, err
		}
		return Prefers(l.Scheme)(ctx, target)
	}
}

// Keep takes a picture of the whole page into out/pictures of the module, for people to look at.
func Keep(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	KeepPicture(t, name, picture)
}

// KeepPicture puts a PNG into out/pictures of the module.
func KeepPicture(t *testing.T, name string, png []byte) {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "out", "pictures", name+".png")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		t.Fatal(err)
	}
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			err = errors.New("looking for go.mod: there is none above; run the test within the module")
		}
	}
	return "", err
}

// Witness notes what the browser complains about and asks for.
type Witness struct {
	mu                           sync.Mutex
	complaints, requests, served []string
}

func (w *Witness) note(list *[]string, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*list = append(*list, text)
}

func (w *Witness) listen(event any) {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		w.note(&w.complaints, fmt.Sprintf("console %s", e.Type))
	case *runtime.EventExceptionThrown:
		w.note(&w.complaints, e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		w.note(&w.complaints, e.Entry.Text+" "+e.Entry.URL)
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "data:") {
			w.note(&w.requests, e.Request.URL)
		}
	}
}

// Alone checks that the browser complained of nothing, and that of what Serve serves the page alone was asked for, as often as it was opened.
func (w *Witness) Alone(t *testing.T, opened int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.content(t)
	if len(w.requests) != opened || len(w.served) != opened {
		t.Errorf("requests %q, asked of the server %q, want the page alone, %d times", w.requests, w.served, opened)
	}
}

// Within checks that the browser complained of nothing, and asked for nothing that does not begin with origin.
func (w *Witness) Within(t *testing.T, origin string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.content(t)
	if len(w.requests) == 0 {
		t.Error("no request was seen")
	}
	for _, r := range w.requests {
		if !strings.HasPrefix(r, origin) {
			t.Errorf("the page asks for %s, which is not its own", r)
		}
	}
}

// content checks that there were no complaints. The lock is held.
func (w *Witness) content(t *testing.T) {
	t.Helper()
	if len(w.complaints) > 0 {
		t.Errorf("the browser complains: %q", w.complaints)
	}
}
