package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// grant is one verb on one resource that an account has by the chart.
type grant struct {
	account string // swell-scaler
	// namespace that it holds in; empty is the whole cluster.
	namespace      string
	verb, group    string
	resource       string // with its subresource: pods/eviction
	name           string // empty is every object
	role           string // that it comes from, for people
	fromKubernetes bool   // the role is one of Kubernetes' own, of which the chart has the binding
}

func (g grant) String() string {
	what := g.resource
	if g.group != "" {
		what += "." + g.group
	}
	if g.name != "" {
		what += " " + g.name
	}
	where := ""
	if g.namespace != "" {
		where = " in " + g.namespace
	}
	return fmt.Sprintf("%s: %s %s%s", g.account, g.verb, what, where)
}

// allows says whether the grant is enough for a request.
func (g grant) allows(r request) bool {
	return g.account == r.account && g.verb == r.verb &&
		(g.group == r.group || g.group == "*") && (g.resource == r.resource || g.resource == "*") &&
		(g.name == "" || g.name == r.name) && (g.namespace == "" || g.namespace == r.namespace)
}

// rules is this grant alone.
func (g grant) rules() rbacv1.PolicyRule {
	rule := rbacv1.PolicyRule{Verbs: []string{g.verb}, APIGroups: []string{g.group}, Resources: []string{g.resource}}
	if g.name != "" {
		rule.ResourceNames = []string{g.name}
	}
	return rule
}

// readersRole is Kubernetes' own role that every aggregated API server is bound to, as its bootstrap policy has it.
const readersRole = "extension-apiserver-authentication-reader"

var readersRules = []rbacv1.PolicyRule{{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{""}, Resources: []string{"configmaps"},
	ResourceNames: []string{"extension-apiserver-authentication"}}}

// readGrants reads the roles and bindings of swell's accounts from the files of a folder, in the order of the files.
func readGrants(dir string) ([]grant, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*-rbac.yaml"))
	if err == nil && len(paths) == 0 {
		err = errors.New("no *-rbac.yaml there; run \"make generate\"")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the chart's rules in %s: %w", dir, err)
	}
	rules := map[string][]rbacv1.PolicyRule{"Role kube-system/" + readersRole: readersRules}
	type binding struct {
		rbacv1.RoleBinding `json:",inline"`
	}
	var bindings []rbacv1.RoleBinding
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading the chart's rules: %w", err)
		}
		for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
			// a role and a binding have no field in common but metadata
			var o struct {
				binding
				Rules []rbacv1.PolicyRule `json:"rules"`
			}
			if err := d.Decode(&o); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("reading %s: %w; run \"make generate\"", path, err)
			}
			switch o.Kind {
			case "Role":
				rules["Role "+o.Namespace+"/"+o.Name] = o.Rules
			case "ClusterRole":
				rules["ClusterRole /"+o.Name] = o.Rules
			case "RoleBinding", "ClusterRoleBinding":
				bindings = append(bindings, o.RoleBinding)
			}
		}
	}
	var all []grant
	for _, b := range bindings {
		key := "ClusterRole /" + b.RoleRef.Name
		if b.RoleRef.Kind == "Role" {
			key = "Role " + b.Namespace + "/" + b.RoleRef.Name
		}
		its, known := rules[key]
		if !known {
			return nil, fmt.Errorf("reading the chart's rules in %s: binding %s is to %s, which is not there", dir, b.Name, key)
		}
		for _, s := range b.Subjects {
			for _, g := range expand(its) {
				g.account, g.namespace, g.role, g.fromKubernetes = s.Name, b.Namespace, key, b.RoleRef.Name == readersRole
				all = append(all, g)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b grant) int { return cmp.Compare(a.account, b.account) })
	return all, nil
}

// expand is each verb of each resource of rules by itself.
func expand(rules []rbacv1.PolicyRule) []grant {
	var out []grant
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					for _, verb := range rule.Verbs {
						out = append(out, grant{verb: verb, group: group, resource: resource, name: name})
					}
				}
			}
		}
	}
	return out
}

// exempt is a grant that no test can use, with the reason.
type exempt struct {
	Grant  string `json:"grant"`
	Reason string `json:"reason"`
}

// mostExempt bounds the list: a right that is given for a reason that nothing shows should be rare.
const mostExempt = 8

// readExempt reads the list of grants that no test uses.
func readExempt(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the rights that no test uses: %w", err)
	}
	var list []exempt
	if err := yaml.UnmarshalStrict(text, &list); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(list) > mostExempt {
		return nil, fmt.Errorf("reading %s: it has %d rights, at most %d are left unproven; write a test that uses one, or take it out of the chart", path, len(list), mostExempt)
	}
	out := map[string]string{}
	for i, e := range list {
		if strings.TrimSpace(e.Reason) == "" {
			return nil, fmt.Errorf("reading %s: [%d].reason is empty; say why no test can use it", path, i)
		}
		out[e.Grant] = e.Reason
	}
	return out, nil
}
