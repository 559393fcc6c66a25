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

// pictures are kept in out/pictures, phone and desktop, light and dark.
func pictures(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	for _, look := range browser.Looks {
		if err := chromedp.Do(ctx, look.Emulate()); err != nil {
			t.Fatal(err)
		}
		if over := browser.Read[int](ctx, t, `document.documentElement.scrollWidth - window.innerWidth`); over > 0 {
			t.Errorf("%s: the page is %d px wider than a %s", name, over, look.Screen)
		}
		browser.Keep(ctx, t, "live-"+name+"-"+look.Name())
	}
}
