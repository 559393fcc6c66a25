package config

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"sync"
)

// NamespaceRule lets namespaces ask about groups.
type NamespaceRule struct {
	// Namespaces are names or shell patterns, as in team-*; at least one.
	Namespaces []string `json:"namespaces"`
	// Clusters are names of clusters; absent: all of them.
	Clusters []string `json:"clusters,omitempty"`
	// Groups are names, or regular expressions between slashes that must match the whole name; at least one.
	Groups []string `json:"groups"`
}

// NamespaceRules are what namespaces may ask about: what one rule allows is allowed. No rules at all allow everything.
type NamespaceRules []NamespaceRule

// Allow says whether a namespace may ask about a group of a cluster.
func (rules NamespaceRules) Allow(namespace, cluster, group string) bool {
	for _, r := range rules {
		if matchesOne(r.Namespaces, namespace, matchesPattern) && (len(r.Clusters) == 0 || matchesOne(r.Clusters, cluster, same)) &&
			matchesOne(r.Groups, group, matchesName) {
			return true
		}
	}
	return len(rules) == 0
}

func matchesOne(of []string, name string, match func(rule, name string) bool) bool {
	for _, one := range of {
		if match(one, name) {
			return true
		}
	}
	return false
}

func same(rule, name string) bool { return rule == name }

func matchesPattern(rule, name string) bool {
	ok, err := path.Match(rule, name)
	return ok && err == nil
}

func matchesName(rule, name string) bool {
	e, err := expression(rule)
	if err != nil {
		return false
	}
	return e == nil && rule == name || e != nil && e.MatchString(name)
}

// compiled holds the expressions of all rules, since Allow is asked at each request for a metric.
var compiled sync.Map // rule → *regexp.Regexp

// expression is a rule's Expression, compiled once.
func expression(rule string) (*regexp.Regexp, error) {
	if e, ok := compiled.Load(rule); ok {
		return e.(*regexp.Regexp), nil
	}
	e, err := Expression(rule)
	if e != nil && err == nil {
		compiled.Store(rule, e)
	}
	return e, err
}

func (r NamespaceRule) validate(field string, clusters map[string]bool) error {
	var problems []error
	if len(r.Namespaces) == 0 || len(r.Groups) == 0 {
		problems = append(problems, fmt.Errorf("%s lacks namespaces or groups: give at least one of each, as in namespaces: [\"team-*\"]", field))
	}
	for i, n := range r.Namespaces {
		if _, err := path.Match(n, ""); err != nil || n == "" {
			problems = append(problems, fmt.Errorf("%s.namespaces[%d] is %q: give a name or a pattern such as team-*", field, i, n))
		}
	}
	for i, c := range r.Clusters {
		if !clusters[c] {
			problems = append(problems, fmt.Errorf("%s.clusters[%d] is %q, which is not under clusters: correct the name", field, i, c))
		}
	}
	for i, g := range r.Groups {
		if _, err := expression(g); err != nil || g == "" {
			problems = append(problems, fmt.Errorf("%s.groups[%d] is %q: give a name, or an expression in RE2's syntax between slashes", field, i, g))
		}
	}
	return errors.Join(problems...)
}

// MetricsService is another server of an aggregated metrics API, to which names that are not swell's own are passed on. A cluster
// has one server for each API group.
type MetricsService struct {
	// URL is its address, https://service.namespace.svc:port.
	URL string `json:"url"`
	// CAFile holds the certificates of who signed its; absent: the cluster's own authority.
	CAFile string `json:"caFile,omitempty"`
	// ServerName is the name that its certificate must have; absent: the URL's host.
	ServerName string `json:"serverName,omitempty"`
	// TokenFile is who swell-metrics is to it; absent: its own service account, whose token is sent to the service.
	TokenFile string `json:"tokenFile,omitempty"`
	// InsecureSkipVerify takes any certificate, for a service that makes its own at each start. Whoever answers at the URL gets the
	// token, so that TokenFile must name one: of a service account that may do nothing but read these metrics.
	InsecureSkipVerify bool `json:"insecureSkipVerify,omitempty"`
}

// PassOn names the services behind the two API groups.
type PassOn struct {
	External *MetricsService `json:"external,omitempty"`
	Custom   *MetricsService `json:"custom,omitempty"`
}

func (m *MetricsService) validate(field string) error {
	if m == nil {
		return nil
	}
	if u, err := url.Parse(m.URL); err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		u.Port() != "" && !isPort(u.Port()) {
		return fmt.Errorf("%s.url is not https://service.namespace.svc:port: give that, without user, query and fragment", field)
	}
	if m.InsecureSkipVerify && m.CAFile != "" {
		return fmt.Errorf("%s has caFile and insecureSkipVerify: give one", field)
	}
	if m.InsecureSkipVerify && m.TokenFile == "" {
		return fmt.Errorf("%s has insecureSkipVerify and no tokenFile, so that anyone there would get swell-metrics' own token: give caFile, or a tokenFile of a service account for this alone", field)
	}
	return nil
}
