package local_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"swell/scaler/ui/local"
)

// opened is a page on this machine, and what the scaler behind it was asked.
type opened struct {
	address, plain string
	asked          []http.Header
	client         *http.Client
}

func open(t *testing.T) *opened {
	t.Helper()
	o := &opened{}
	scaler := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.asked = append(o.asked, r.Header)
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, ": beat\n\n")
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
		http.SetCookie(w, &http.Cookie{Name: "of-the-scaler", Value: "x"})
		fmt.Fprint(w, "the page")
	}))
	t.Cleanup(scaler.Close)
	target, err := url.Parse(scaler.URL)
	if err != nil {
		t.Fatal(err)
	}
	server, err := local.New(t.Context(), target, http.DefaultTransport, 0)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(t.Context()) }()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	o.address = server.Address
	o.plain, _, _ = strings.Cut(server.Address, "?")
	o.client = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return o
}

// ask asks as a page of a site, in the browser's own word, does.
func (o *opened) ask(t *testing.T, address, site string, headers ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if site != "" {
		request.Header.Set("Sec-Fetch-Site", site)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := o.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if strings.HasSuffix(address, "/events") && answer.StatusCode == http.StatusOK {
		return answer, "" // it goes on
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

// A link in a terminal that is a web page itself opens the page too: the browser keeps the cookie back from what another site led to,
// redirections of it included, so that the page is gone to from a page of ours.
func TestALinkOfAnotherSiteOpensThePage(t *testing.T) {
	o := open(t)
	if answer, text := o.ask(t, o.address, "cross-site"); answer.StatusCode != 200 || !strings.Contains(text, `http-equiv="refresh"`) || len(answer.Cookies()) != 1 {
		t.Fatalf("%d %s: want a page that goes on to the page, and the cookie", answer.StatusCode, text)
	} else if c := answer.Cookies()[0]; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("the cookie is %s", c)
	}
	if answer, text := o.ask(t, o.plain, "same-origin"); answer.StatusCode != 200 || text != "the page" {
		t.Errorf("the page: %d %s", answer.StatusCode, text)
	}
	if strings.Contains(fmt.Sprint(o.asked), "swell-page-") {
		t.Errorf("the scaler was sent the cookie: %s", o.asked)
	}
}

// Pages of other sites, and of other ports of this machine, to which the browser gives the cookie as well, are not let in.
func TestOtherPagesOfTheBrowserAreNotLetIn(t *testing.T) {
	o := open(t)
	if answer, _ := o.ask(t, o.address, "none"); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("a typed address: %d, want a redirection", answer.StatusCode)
	}
	for _, site := range []string{"cross-site", "same-site"} {
		for _, path := range []string{"", "api/state.json", "events", "api/ledger.tar"} {
			if answer, text := o.ask(t, o.plain+path, site); answer.StatusCode != 403 {
				t.Errorf("%s at /%s: %d %s, want 403", site, path, answer.StatusCode, text)
			}
		}
	}
	if len(o.asked) != 0 {
		t.Errorf("the scaler was asked %d times", len(o.asked))
	}
	for _, path := range []string{"", "events"} {
		answer, _ := o.ask(t, o.plain+path, "same-origin", "Authorization", "Bearer of-the-browser")
		for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin", "X-Content-Type-Options": "nosniff"} {
			if got := strings.Join(answer.Header.Values(name), " and "); got != want {
				t.Errorf("/%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if answer.StatusCode != 200 || len(answer.Header.Values("Set-Cookie")) != 0 {
			t.Errorf("/%s: %d, cookies %q", path, answer.StatusCode, answer.Header.Values("Set-Cookie"))
		}
	}
	for _, h := range o.asked {
		if h.Get("Authorization") != "" || h.Get("Cookie") != "" {
			t.Errorf("the scaler was sent what is the browser's: %v", h)
		}
	}
}
