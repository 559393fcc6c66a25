package ui_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"swell/bench/browser"
	"swell/scaler/ui"
	"swell/scaler/ui/local"
)

// TestThePageInABrowser opens the page of a real scaler on a real control plane, as "swell page" does.
func TestThePageInABrowser(t *testing.T) {
	ctx, seen := browser.Open(t)
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
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(server.Address), chromedp.WaitVisible(chromedp.CSS("#now"))); err != nil {
		t.Fatal(err)
	}
	until(t, "the page follows", 30*time.Second, func() (bool, string) {
		return browser.Read[string](ctx, t, `document.body.dataset.link || ""`) == "open", browser.Read[string](ctx, t, `document.body.innerText.slice(0, 500)`)
	})
	until(t, "a forecast is drawn", 60*time.Second, func() (bool, string) {
		return browser.Read[int](ctx, t, `document.querySelectorAll("#ahead polyline.likely").length`) > 0, browser.Read[string](ctx, t, `by = document.getElementById("ahead").innerText`)
	})
	until(t, "figures that were old for a moment no longer are", 30*time.Second, func() (bool, string) {
		return browser.Read[string](ctx, t, `document.getElementById("stale").innerText`) == "", browser.Read[string](ctx, t, `document.querySelector("header").innerText`)
	})
	browser.Read[bool](ctx, t, `(window.same = true)`)
	accessible(ctx, t)
	resume := paused(ctx, t)
	nodes := browser.Read[int](ctx, t, `Number(document.querySelector("#now dd").textContent)`)
	w.scale(75)
	until(t, "a pod that waits is shown with what is for it", 30*time.Second, func() (bool, string) {
		text := browser.Read[string](ctx, t, `document.getElementById("pending").innerText`)
		return strings.Contains(text, "shop/web-") && (strings.Contains(text, "a launch in general-") || strings.Contains(text, "which boots")), text
	})
	pictures(ctx, t, "pending")
	until(t, "the nodes come", 60*time.Second, func() (bool, string) {
		n := browser.Read[int](ctx, t, `Number(document.querySelector("#now dd").textContent)`)
		return n > nodes, fmt.Sprintf("%d nodes, %d before", n, nodes)
	})
	resume()
	until(t, "it has come to rest", 60*time.Second, func() (bool, string) {
		text := browser.Read[string](ctx, t, `document.getElementById("now").innerText`)
		return strings.Contains(text, "2 balloons hold room"), text
	})
	pictures(ctx, t, "page")
	forTheDocs(ctx, t)

	w.Scaler.Kill()
	until(t, "the page says that it is disconnected", 30*time.Second, func() (bool, string) {
		text := browser.Read[string](ctx, t, `document.getElementById("link").innerText`)
		return strings.Contains(text, "Disconnected"), text
	})
	pictures(ctx, t, "disconnected")
	newest := browser.Read[string](ctx, t, `document.querySelector("#decisions li").dataset.id`)
	if err := w.Scaler.Restart(); err != nil {
		t.Fatal(err)
	}
	until(t, "it is connected again, and goes on after the last decision", 90*time.Second, func() (bool, string) {
		return browser.Read[bool](ctx, t, fmt.Sprintf(`document.body.dataset.link === "open" && document.querySelector("#decisions li").dataset.id > %q
			&& document.querySelectorAll('#decisions li[data-id="%s"]').length === 1`, newest, newest)), browser.Read[string](ctx, t, `document.body.innerText.slice(0, 900)`)
	})
	if !browser.Read[bool](ctx, t, `window.same === true`) {
		t.Error("the page was loaded anew: it is to go on by itself")
	}
	seen.Within(t, "http://"+strings.Split(server.Address, "/")[2]+"/")
}

// The page while little is known: a replica that stands by, one that has made no plan yet, one that could read nothing of AWS, and one
// with a pool that is broken among others.
func TestThePageWhileLittleIsKnown(t *testing.T) {
	ctx, seen := browser.Open(t)
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
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(server.Address), chromedp.WaitVisible(chromedp.CSS("#now"))); err != nil {
		t.Fatal(err)
	}
	says := func(id, text string) {
		t.Helper()
		until(t, "it says "+text, 20*time.Second, func() (bool, string) {
			got := browser.Read[string](ctx, t, fmt.Sprintf(`document.getElementById(%q).innerText`, id))
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
		if err := chromedp.Do(ctx, browser.Prefers(scheme)); err != nil {
			t.Fatal(err)
		}
		if bad := browser.Read[string](ctx, t, audit); bad != "" {
			t.Errorf("%s:\n%s", scheme, bad)
		}
	}
	seen.Within(t, "http://"+strings.Split(server.Address, "/")[2]+"/")
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
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1060, 980), browser.Prefers("light")); err != nil {
		t.Fatal(err)
	}
	browser.Read[bool](ctx, t, `(document.activeElement.blur(), window.scrollTo({top: 0, behavior: "instant"}), true)`)
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	browser.KeepPicture(t, "live-docs", png)
}

// small phones show what is too wide.
var small = []browser.Look{{Screen: "small", Scheme: "light", Width: 360, Height: 780}, {Screen: "small", Scheme: "dark", Width: 360, Height: 780}}

// pictures are kept in out/pictures, phone and desktop, light and dark.
func pictures(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	for _, look := range append(small, browser.Looks...) {
		if err := chromedp.Do(ctx, look.Emulate()); err != nil {
			t.Fatal(err)
		}
		if over := browser.Read[int](ctx, t, `document.documentElement.scrollWidth - window.innerWidth`); over > 0 {
			t.Errorf("%s: the page is %d px wider than a %s", name, over, look.Screen)
		}
		if wide := browser.Read[string](ctx, t, `[...document.querySelectorAll(".wide")].filter(e => e.scrollWidth > e.clientWidth).map(e => e.getAttribute("aria-label")).join()`); wide != "" {
			t.Errorf("%s: on a %s a part of these is out of sight: %s", name, look.Screen, wide)
		}
		browser.Keep(ctx, t, "live-"+name+"-"+look.Name())
	}
}
