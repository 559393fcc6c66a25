package ui

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"strings"
	"time"
)

//go:embed page.html page.css page.js icon.svg
var files embed.FS

// parts of the page that are renewed as they change, decisions not among them.
var parts = []string{"head", "stale", "now", "ahead", "pending", "balloons", "groups", "limits"}

var templates = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"number": number, "maybe": maybe, "whole": whole,
	"clock":   func(t time.Time) template.HTML { return stamp(t, "15:04", "hm") },
	"second":  func(t time.Time) template.HTML { return stamp(t, "15:04:05", "hms") },
	"full":    func(t time.Time) template.HTML { return stamp(t, "2006-01-02 15:04:05", "full") },
	"percent": func(share float64) string { return number(100*share) + " %" },
	"seconds": func(s float64) string { return lasted(time.Duration(s * float64(time.Second))) },
	"more":    func(v View, list string) int { return v.More[list] },
	"price": func(v *float64) string {
		if v == nil {
			return "unknown"
		}
		return money(*v)
	},
	"phase": func(p string) string {
		return map[string]string{"intent": "decided", "done": "done", "failed": "failed", "note": ""}[p]
	},
}).ParseFS(files, "page.html"))

// stamp is a time that the script puts into the reader's own zone.
func stamp(t time.Time, layout, form string) template.HTML {
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" data-form="%s">%s</time>`, t.Format(time.RFC3339), form, t.Format(layout)))
}

// rendered is the page at one moment.
type rendered struct {
	at    time.Time // machine time
	shown Shown
	view  View
	parts map[string]string
}

func render(now time.Time, s Shown) (*rendered, error) {
	r := &rendered{shown: s, view: NewView(now, s), parts: map[string]string{}}
	for _, name := range parts {
		text, err := part(name, r.view)
		if err != nil {
			return nil, err
		}
		r.parts[name] = text
	}
	return r, nil
}

func part(name string, data any) (string, error) {
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, name, data); err != nil {
		return "", fmt.Errorf("making part %s of the page: %w", name, err)
	}
	return strings.TrimSpace(out.String()), nil
}
