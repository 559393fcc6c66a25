package ui_test

import (
	"context"
	"fmt"
	"net/http"
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

	"swell/bench/testbed/controlplane"
	"swell/scaler/ui"
	"swell/scaler/ui/local"
)

// TestThePageInABrowser opens the page of a real scaler on a real control plane, as "swell page" does.
func TestThePageInABrowser(t *testing.T) {
	binary := chromium(t)
	w := start(t)
	root := user(t, w.Cluster, "reader", "system:masters")
	until(t, "the page answers", 40*time.Second, func() (bool, string) {
		answer, err := as(t, w.Cluster, root).RoundTrip(must(http.NewRequestWithContext(t.Context(), http.MethodGet, w.page.String(), nil)))
		if err != nil {
			return false, err.Error()
		}
		answer.Body.Close()
		return answer.StatusCode == 200, answer.Status
	})
	server, err := local.New(t.Context(), w.page, as(t, w.Cluster, root), 0)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(t.Context()) }()
	var seen witness
	ctx, cancel := browser(t, binary, seen.listen)
	defer cancel()
	if err := chromedp.Do(ctx, watchNetwork, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(server.Address), chromedp.WaitVisible(chromedp.CSS("#now"))); err != nil {
		t.Fatal(err)
	}
	until(t, "the page follows", 30*time.Second, func() (bool, string) {
		return read[string](ctx, t, `document.body.dataset.link || ""`) == "open", read[string](ctx, t, `document.body.innerText.slice(0, 500)`)
	})
	until(t, "a forecast is drawn", 60*time.Second, func() (bool, string) {
		return read[int](ctx, t, `document.querySelectorAll("#ahead polyline.likely").length`) > 0, read[string](ctx, t, `by = document.getElementById("ahead").innerText`)
	})
	until(t, "figures that were old for a moment no longer are", 30*time.Second, func() (bool, string) {
		return read[string](ctx, t, `document.getElementById("stale").innerText`) == "", read[string](ctx, t, `document.querySelector("header").innerText`)
	})
	read[bool](ctx, t, `(window.same = true)`)
	accessible(ctx, t)
	resume := paused(ctx, t)
	nodes := read[int](ctx, t, `Number(document.querySelector("#now dd").textContent)`)
	w.scale(75)
	until(t, "a pod that waits is shown with what is for it", 30*time.Second, func() (bool, string) {
		text := read[string](ctx, t, `document.getElementById("pending").innerText`)
		return strings.Contains(text, "shop/web-") && (strings.Contains(text, "a launch in general-") || strings.Contains(text, "which boots")), text
	})
	pictures(ctx, t, "pending")
	until(t, "the nodes come", 60*time.Second, func() (bool, string) {
		n := read[int](ctx, t, `Number(document.querySelector("#now dd").textContent)`)
		return n > nodes, fmt.Sprintf("%d nodes, %d before", n, nodes)
	})
	resume()
	until(t, "it has come to rest", 60*time.Second, func() (bool, string) {
		text := read[string](ctx, t, `document.getElementById("now").innerText`)
		return strings.Contains(text, "2 balloons hold room"), text
	})
	pictures(ctx, t, "page")
	forTheDocs(ctx, t)

	w.Scaler.Kill()
	until(t, "the page says that it is disconnected", 30*time.Second, func() (bool, string) {
		text := read[string](ctx, t, `document.getElementById("link").innerText`)
		return strings.Contains(text, "Disconnected"), text
	})
	pictures(ctx, t, "disconnected")
	newest := read[string](ctx, t, `document.querySelector("#decisions li").dataset.id`)
	if err := w.Scaler.Restart(); err != nil {
		t.Fatal(err)
	}
	until(t, "it is connected again, and goes on after the last decision", 90*time.Second, func() (bool, string) {
		return read[bool](ctx, t, fmt.Sprintf(`document.body.dataset.link === "open" && document.querySelector("#decisions li").dataset.id > %q
			&& document.querySelectorAll('#decisions li[data-id="%s"]').length === 1`, newest, newest)), read[string](ctx, t, `document.body.innerText.slice(0, 900)`)
	})
	if !read[bool](ctx, t, `window.same === true`) {
		t.Error("the page was loaded anew: it is to go on by itself")
	}
	seen.check(t, "http://"+strings.Split(server.Address, "/")[2]+"/")
}

// The page while little is known: a replica that stands by, one that has made no plan yet, one that could read nothing of AWS, and one
// with a pool that is broken among others.
func TestThePageWhileLittleIsKnown(t *testing.T) {
	binary := chromium(t)
	elected := make(chan struct{})
	s := serve(t, elected)
	root := user(t, s.cluster, "reader", "system:masters")
	until(t, "the page answers", 40*time.Second, func() (bool, string) {
		code, text := s.get(t, root, "/")
		return code == 200, text
	})
	server, err := local.New(t.Context(), s.url, as(t, s.cluster, root), 0)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(t.Context()) }()
	var seen witness
	ctx, cancel := browser(t, binary, seen.listen)
	defer cancel()
	if err := chromedp.Do(ctx, watchNetwork, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(server.Address), chromedp.WaitVisible(chromedp.CSS("#now"))); err != nil {
		t.Fatal(err)
	}
	says := func(id, text string) {
		t.Helper()
		until(t, "it says "+text, 20*time.Second, func() (bool, string) {
			got := read[string](ctx, t, fmt.Sprintf(`document.getElementById(%q).innerText`, id))
			return strings.Contains(got, text), got
		})
	}
	says("now", "Not known here: this replica stands by")
	pictures(ctx, t, "standby")
	close(elected)
	s.Show(unread())
	says("stale", "AWS was never read")
	says("now", "unknown")
	pictures(ctx, t, "unread")
	s.Show(broken())
	says("stale", "the groups of pool batch were never read")
	says("groups", "unavailable until")
	pictures(ctx, t, "broken")
	for _, scheme := range []string{"light", "dark"} {
		if err := chromedp.Do(ctx, prefers(scheme)); err != nil {
			t.Fatal(err)
		}
		if bad := read[string](ctx, t, audit); bad != "" {
			t.Errorf("%s:\n%s", scheme, bad)
		}
	}
	seen.check(t, "http://"+strings.Split(server.Address, "/")[2]+"/")
}

// unread is what the first plan leaves where AWS cannot be reached.
func unread() ui.State {
	now := time.Now()
	return ui.State{At: now, Tick: 1, Every: 10, Leader: "scaler-0", Version: "v0.1.0", Cluster: "green", Mode: "Enforce", Clock: 1, Readings: ui.Readings{Cluster: now, MaxAge: 60},
		Pods: ui.Pods{Running: 120, Pending: 3}, Cost: ui.Cost{Hourly: new(float64)}, Pools: []ui.Pool{{Name: "general", Mode: "Enforce", NoSale: "the groups were never read"}},
		Zones:    []ui.Zone{{Zone: "ap-northeast-1a", Pods: 60}, {Zone: "ap-northeast-1c", Pods: 60}},
		Pending:  []ui.Pending{{Pod: "shop/web-7b969589b8-2tnnr", Count: 3, Since: now.Add(-time.Minute), Why: "0/4 nodes are available: 4 Insufficient cpu."}},
		Problems: []ui.Problem{{Object: "AWS", What: "reading the groups: operation error Auto Scaling: DescribeAutoScalingGroups, https response error StatusCode: 403, AccessDenied", Mend: "give the role of the scaler autoscaling:DescribeAutoScalingGroups"}}}
}

// broken has one pool of two that was never read, a group that was refused, and a Balloon without a forecast.
func broken() ui.State {
	now := time.Now()
	s := unread()
	price, until := 0.35, now.Add(7*time.Minute)
	s.At, s.Tick, s.Readings.AWS, s.Cost.Hourly = now, 2, now, &price
	s.Cost.Unpriced = 1
	s.Pools = []ui.Pool{{Name: "general", Mode: "Enforce", ReadAt: now, Freeze: &ui.Freeze{What: "All", Until: now.Add(time.Hour), Reason: "a release"}},
		{Name: "batch", Mode: "Observe", ObserveWhy: "its groups have two owners", NoSale: "its groups were never read"}}
	s.Zones = []ui.Zone{{Zone: "ap-northeast-1a", Spot: 1, OnDemand: 1, Booting: 1, Pods: 60}, {Zone: "ap-northeast-1c", Pods: 60}}
	s.Groups = []ui.Group{{Name: "general-spot-a-with-a-name-as-long-as-eksctl-makes-them-NodeGroup-1A2B3C4D5E6F", Pool: "general", Zone: "ap-northeast-1a", Market: "spot", Max: 10, Desired: 2, Nodes: 1, Booting: 1,
		Hourly: &price, UnavailableUntil: &until, Why: "InsufficientInstanceCapacity: there is no Spot capacity that matches your request"},
		{Name: "general-ondemand-a", Pool: "general", Zone: "ap-northeast-1a", Market: "on-demand", Max: 10, Desired: 1, Nodes: 1}}
	s.Balloons = []ui.Balloon{{Namespace: "shop", Name: "web", Workload: "Deployment/web", Mode: "Observe", Output: "Virtual", Running: 120, Quantile: 0.95, Chunk: 2.5, Lead: 185,
		Zones: []ui.BalloonZone{{Zone: "ap-northeast-1a", Wanted: 3, Held: 1}}, Why: "demand unknown, no forecast, min is 3", NoForecast: "its history is 40 min long and a day is needed"}}
	s.Suppressed = []ui.Problem{{Object: "launch 2 in general-spot-a", What: "pool general is frozen until 13:00"}}
	return s
}

// forTheDocs is docs/page.png: the first screen of a desktop.
func forTheDocs(ctx context.Context, t *testing.T) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1060, 980), prefers("light")); err != nil {
		t.Fatal(err)
	}
	read[bool](ctx, t, `(document.activeElement.blur(), window.scrollTo({top: 0, behavior: "instant"}), true)`)
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	keep(t, "live-docs.png", png)
}

// keep puts a picture into out/pictures.
func keep(t *testing.T, name string, png []byte) {
	t.Helper()
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "out", "pictures")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

// pictures are kept in out/pictures, phone and desktop, light and dark.
func pictures(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	for _, screen := range []struct {
		name          string
		width, height int64
	}{{"small", 360, 780}, {"phone", 390, 844}, {"desktop", 1280, 900}} {
		for _, scheme := range []string{"light", "dark"} {
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(screen.width, screen.height), prefers(scheme)); err != nil {
				t.Fatal(err)
			}
			if over := read[int](ctx, t, `document.documentElement.scrollWidth - window.innerWidth`); over > 0 {
				t.Errorf("%s: the page is %d px wider than a %s", name, over, screen.name)
			}
			if wide := read[string](ctx, t, `[...document.querySelectorAll(".wide")].filter(e => e.scrollWidth > e.clientWidth).map(e => e.getAttribute("aria-label")).join()`); wide != "" {
				t.Errorf("%s: on a %s a part of these is out of sight: %s", name, screen.name, wide)
			}
			png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			keep(t, fmt.Sprintf("live-%s-%s-%s.png", name, screen.name, scheme), png)
		}
	}
}

func prefers(scheme string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return chromedp.Void{}, err
	}
}

// witness notes what the browser complains about and asks for.
type witness struct {
	mu                   sync.Mutex
	complaints, requests []string
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
		w.note(&w.complaints, e.Entry.Text+" "+e.Entry.URL)
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "data:") {
			w.note(&w.requests, e.Request.URL)
		}
	}
}

func (w *witness) check(t *testing.T, origin string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.complaints) > 0 {
		t.Errorf("the browser complains: %q", w.complaints)
	}
	if len(w.requests) == 0 {
		t.Error("no request was seen")
	}
	for _, r := range w.requests {
		if !strings.HasPrefix(r, origin) {
			t.Errorf("the page asks for %s, which is not its own", r)
		}
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
	ctx, late := context.WithTimeout(ctx, 150*time.Second) // a browser that hangs fails the test, and not the whole run
	return ctx, func() { late(); cancel(); stop() }
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
