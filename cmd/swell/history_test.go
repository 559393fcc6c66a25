package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"swell/scaler/history"
	"swell/scaler/series"
)

// historyServer has the history of shop/web: ten days of five minutes, of which an hour is unknown.
func historyServer(t *testing.T) string {
	t.Helper()
	s := series.Series{Start: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), Step: 5 * time.Minute}
	for i := range 2880 {
		v := 50 + 40*math.Sin(float64(i)/288*2*math.Pi)
		if i >= 100 && i < 112 {
			v = math.NaN()
		}
		s.Append(v, 0)
	}
	r := &history.Record{}
	r.Fill(s)
	raw, err := history.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	name := history.Name("shop", "web")
	balloons := "/apis/capacity.swell/v1alpha1/namespaces/shop/balloons"
	return whyServer(t, map[string]string{"/api/v1/namespaces/swell-system": `{"kind": "Namespace"}`,
		balloons + "/web": `{"kind": "Balloon"}`, balloons + "/new": `{"kind": "Balloon"}`,
		balloons: `{"kind": "BalloonList", "items": [{"metadata": {"name": "new"}}, {"metadata": {"name": "web"}}]}`, "/api/v1/namespaces/swell-system/configmaps/" + name: fmt.Sprintf(
			`{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"namespace": "swell-system", "name": %q, "annotations": {%q: "shop/web"}}, "binaryData": {"demand": %q}}`,
			name, history.BalloonAnnotation, base64.StdEncoding.EncodeToString(raw))})
}

func TestWhatIsExportedIsReadByForecast(t *testing.T) {
	kubeconfig := historyServer(t)
	code, stdout, stderr := swell(t, "history", "export", "--name", "web", "--context", "shop", "--kubeconfig", kubeconfig)
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if lines := strings.Split(stdout, "\n"); lines[0] != "timestamp,value" || lines[1] != "2026-03-02T00:00:00Z,49.91" || // 50, to 0.5 %
		len(lines) != 2882 || lines[101] != "2026-03-02T08:20:00Z," {
		t.Errorf("%d lines, such as %q and %q", len(lines), lines[1], lines[101])
	}
	file := write(t, "web.csv", stdout)
	if code, stdout, stderr = swell(t, "forecast", "--series", file, "--horizon", "15m", "--json"); code != 0 || !strings.Contains(stdout, `"ready": true`) {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	_, stdout, _ = swell(t, "history", "export", "--name", "web", "--namespace", "shop", "--json", "--kubeconfig", kubeconfig)
	var doc historyOutput
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Balloon != "web" || doc.StepSeconds != 300 || len(doc.Rows) != 2880 || doc.Rows[100].Value != nil || doc.Rows[100].Class != "NoSample" ||
		doc.Classes["Known"] != 2868 || doc.Classes["NoSample"] != 12 || doc.Shares == nil {
		t.Errorf("%s %g, %d rows, %v, %+v", doc.Balloon, doc.StepSeconds, len(doc.Rows), doc.Classes, doc.Rows[100])
	}
}

func TestHistoryExportSaysWhatIsWrong(t *testing.T) {
	kubeconfig := historyServer(t)
	for name, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no command":    {nil, exitUsage, "give export"},
		"no name":       {[]string{"export"}, exitUsage, "--name is missing"},
		"step":          {[]string{"export", "--name", "web", "--step", "2m"}, exitUsage, "give 5m or 1m"},
		"not there":     {[]string{"export", "--name", "wbe", "-n", "shop", "--kubeconfig", kubeconfig}, exitFailed, `there is no Balloon shop/wbe; there are new, web; did you mean "web"?`},
		"not yet":       {[]string{"export", "--name", "new", "-n", "shop", "--kubeconfig", kubeconfig}, exitFailed, "no checkpoint of the demand of Balloon shop/new yet"},
		"elsewhere":     {[]string{"export", "--name", "new", "-n", "shop", "--checkpoints", "swell", "--kubeconfig", kubeconfig}, exitFailed, "there is no namespace swell, in which"},
		"no minutes":    {[]string{"export", "--name", "web", "-n", "shop", "--step", "1m", "--kubeconfig", kubeconfig}, exitFailed, "has no minutes with a known demand; give --step 5m"},
		"no kubeconfig": {[]string{"export", "--name", "web", "--kubeconfig", "nowhere"}, exitUsage, "nowhere"},
		"no server":     {[]string{"export", "--name", "web", "-n", "shop", "--kubeconfig", kubeconfig, "--context", "gone"}, exitFailed, "127.0.0.1:1"},
	} {
		code, stdout, stderr := swell(t, append([]string{"history"}, tc.args...)...)
		if code != tc.code || !strings.Contains(stderr, tc.want) || name != "no command" && stdout != "" {
			t.Errorf("%s: exit %d, %q, %q: want %d and %q", name, code, stdout, stderr, tc.code, tc.want)
		}
	}
}

func TestTheExamplesOfTheHistoryPageCanBeUsed(t *testing.T) {
	kinds := 0
	for _, rest := range strings.Split(pages(t)["../../docs/history.md"], "```yaml\n")[1:] {
		text, _, _ := strings.Cut(rest, "```")
		if !strings.HasPrefix(text, "apiVersion:") {
			continue // parts of the configuration are tried in api/config
		}
		kinds++
		if code, stdout, _ := swell(t, "check", write(t, "it.yaml", text)); code != 0 || !strings.Contains(stdout, "errors: 0") {
			t.Errorf("exit %d: %s in\n%s", code, stdout, text)
		}
	}
	if kinds < 2 {
		t.Errorf("%d kinds are shown", kinds)
	}
}
