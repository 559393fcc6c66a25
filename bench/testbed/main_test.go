package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestTheCommandLinePicksAPart(t *testing.T) {
	for line, want := range map[string]struct {
		part           string
		code           int
		stdout, stderr string
	}{
		"/bin/testbed up --keep":       {part: "up"},
		"/bin/kube-apiserver --help":   {part: "kube-apiserver"},
		"/bin/testbed etcd --help":     {part: "etcd"},
		"/bin/testbed --help":          {stdout: "testbed up [flags]"},
		"/bin/testbed -h":              {stdout: "kube-scheduler, kwok"},
		"/bin/testbed help":            {stdout: "docs/testbed.md"},
		"/bin/testbed":                 {code: 2, stderr: "Usage:"},
		"/bin/testbed sideways":        {code: 2, stderr: `"sideways" is none of its parts`},
		"/bin/testbed down --keep":     {part: "down"},
		"/bin/testbed --kubeconfig up": {code: 2, stderr: `"--kubeconfig" is none of its parts`},
	} {
		var stdout, stderr bytes.Buffer
		part, code := pick(strings.Fields(line), &stdout, &stderr)
		if part != want.part || code != want.code || !strings.Contains(stdout.String(), want.stdout) || !strings.Contains(stderr.String(), want.stderr) ||
			want.stdout == "" && stdout.Len() > 0 || want.stderr == "" && stderr.Len() > 0 {
			t.Errorf("%s: part %q, exit %d, %q, %q; want %+v", line, part, code, stdout.String(), stderr.String(), want)
		}
	}
}
