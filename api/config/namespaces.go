package config

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
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
	// Topics are names, or regular expressions as in Groups. Whoever may ask about a group learns how much is produced to each topic
	// that he names beside it. Absent: all topics, named or not. Given: only topics that are named and match, and expressions that
	// stand here letter by letter.
	Topics []string `json:"topics,omitempty"`
}

// NamespaceRules are what namespaces may ask about: what one rule allows is allowed. No rules at all allow everything.
type NamespaceRules []NamespaceRule

// Allow says whether a namespace may ask about a group of a cluster, in the topics that it names; none: in all that the group has
// committed in. Of several topics, different rules may allow each.
func (rules NamespaceRules) Allow(namespace, cluster, group string, topics []string) bool {
	if len(rules) == 0 {
		return true
	}
	open := slices.Clone(topics)
	for _, r := range rules {
		if !matchesOne(r.Namespaces, namespace, matchesPattern) || len(r.Clusters) > 0 && !matchesOne(r.Clusters, cluster, same) ||
			!matchesOne(r.Groups, group, matchesName) {
			continue
		}
		if len(r.Topics) == 0 {
			return true
		}
		open = slices.DeleteFunc(open, func(topic string) bool {
			return slices.Contains(r.Topics, topic) || !isExpression(topic) && matchesOne(r.Topics, topic, matchesName)
		})
	}
	return len(topics) > 0 && len(open) == 0
}

// isExpression is true of what cannot be read as well, since it is no name that a rule could match.
func isExpression(topic string) bool {
	e, err := Expression(topic)
	return e != nil || err != nil
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
		if _, err := path.Match(n, ""); err != nil || !namespacePattern.MatchString(n) {
			problems = append(problems, fmt.Errorf("%s.namespaces[%d] is %q: give a name or a pattern such as team-*", field, i, n))
		}
	}
	for i, c := range r.Clusters {
		if !clusters[c] {
			problems = append(problems, fmt.Errorf("%s.clusters[%d] is %q, which is not under clusters: correct the name", field, i, c))
		}
	}
	problems = append(problems, validateNames(field+".groups", r.Groups), validateNames(field+".topics", r.Topics))
	return errors.Join(problems...)
}

// namespacePattern are the characters of namespaces, and of shell patterns of them.
var namespacePattern = regexp.MustCompile(`^[a-z0-9*?\[\]^-]+$`)

// validateNames refuses what is neither a name nor an expression, and a pattern of the shell's: it would be a name that nothing has.
func validateNames(field string, names []string) error {
	var problems []error
	for i, n := range names {
		switch e, err := expression(n); {
		case err != nil || n == "":
			problems = append(problems, fmt.Errorf("%s[%d] is %q: give a name, or an expression in RE2's syntax between slashes", field, i, n))
		case e == nil && strings.ContainsAny(n, "*?[](){}|^$+\\ "):
			problems = append(problems, fmt.Errorf("%s[%d] is %q, which stands for this name alone: give a name, or an expression between slashes such as /shop-.*/", field, i, n))
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
