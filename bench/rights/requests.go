package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// request is one that an account made of the API server, or that its making implied.
type request struct {
	account, verb, group, resource, namespace, name string
	denied                                          bool
	test                                            string
}

func (r request) String() string {
	what := r.resource
	if r.group != "" {
		what += "." + r.group
	}
	return fmt.Sprintf("%s %s %s/%s", r.verb, what, r.namespace, r.name)
}

// event is what is used of an audit.k8s.io/v1 event.
type event struct {
	Kind      string `json:"kind"`
	Verb      string `json:"verb"`
	User      struct{ Username string }
	ObjectRef *struct{ Resource, Subresource, APIGroup, Namespace, Name string }
	// ResponseStatus of a watch comes when it ends, or not at all.
	ResponseStatus struct{ Code int }
	Annotations    map[string]string
}

const accounts = "system:serviceaccount:swell-system:"

// readRequests reads the audit events of a folder, each request once for each test that made it. The files are named by their test.
func readRequests(dir string) ([]request, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err == nil && len(paths) == 0 {
		err = errors.New("no *.jsonl there; run the tests with SWELL_RIGHTS set to it, as \"make rights\" does")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the requests in %s: %w", dir, err)
	}
	seen := map[request]bool{}
	for _, path := range paths {
		test, _, _ := strings.Cut(filepath.Base(path), ".")
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("reading the requests: %w", err)
		}
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 64<<20)
		for n := 1; lines.Scan(); n++ {
			var e event
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Kind != "Event" {
				file.Close()
				return nil, fmt.Errorf("reading %s: line %d: this is no audit event: %v; run the tests again", path, n, err)
			}
			for _, r := range requestsOf(e) {
				r.test = test
				seen[r] = true
			}
		}
		if err := errors.Join(lines.Err(), file.Close()); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
	}
	var all []request
	for r := range seen {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b request) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.String(), b.String()), cmp.Compare(a.test, b.test))
	})
	return all, nil
}

// requestsOf are what an event asked the authorizer: of a server-side apply that made its object, create as well.
func requestsOf(e event) []request {
	account, own := strings.CutPrefix(e.User.Username, accounts)
	if !own || e.ObjectRef == nil {
		return nil
	}
	o := e.ObjectRef
	r := request{account: account, verb: e.Verb, group: o.APIGroup, resource: o.Resource, namespace: o.Namespace, name: o.Name,
		denied: e.Annotations["authorization.k8s.io/decision"] == "forbid"}
	if o.Subresource != "" {
		r.resource += "/" + o.Subresource
	}
	if e.Verb != "patch" || e.ResponseStatus.Code != 201 {
		return []request{r}
	}
	made := r
	made.verb = "create"
	return []request{r, made}
}
