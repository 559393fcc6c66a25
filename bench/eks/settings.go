// Package eks is a suite for a real EKS cluster, behind the build tag of its name: README.md says what it proves and what it costs.
// What decides whether it may begin is here, without the tag.
package eks

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Within is how long the suite may take in all; its nodes are paid for no longer.
const Within = 40 * time.Minute

// Settings are what whoever starts the suite says, in environment variables.
type Settings struct {
	// Account that may be spent in, 12 digits; the credentials must be of it.
	Account string
	Region  string
	// Context of the kubeconfig.
	Context string
	// TagKey and TagValue are on the suite's own Auto Scaling groups.
	TagKey, TagValue string
	// Hourly is the on-demand price of the dearest instance type in these groups, MaxCost the most that the suite may cost, in one currency.
	Hourly, MaxCost float64
	// MaxNodes at a time.
	MaxNodes int
}

var accountPattern = regexp.MustCompile(`^[0-9]{12}$`)

// Read takes the settings of an environment; the error names every variable that is missing or wrong.
func Read(getenv func(string) string) (Settings, error) {
	s := Settings{Account: getenv("SWELL_EKS_ACCOUNT"), Region: getenv("SWELL_EKS_REGION"), Context: getenv("SWELL_EKS_CONTEXT")}
	var errs []error
	wrong := func(name, mend string) { errs = append(errs, fmt.Errorf("%s is %q: %s", name, getenv(name), mend)) }
	if !accountPattern.MatchString(s.Account) {
		wrong("SWELL_EKS_ACCOUNT", "give the 12 digits of the account that may be spent in")
	}
	if s.Region == "" {
		wrong("SWELL_EKS_REGION", "give the cluster's region, such as ap-northeast-1")
	}
	if s.Context == "" {
		wrong("SWELL_EKS_CONTEXT", "give the context of your kubeconfig that is the cluster")
	}
	var tagged bool
	if s.TagKey, s.TagValue, tagged = strings.Cut(getenv("SWELL_EKS_TAG"), "="); !tagged || s.TagKey == "" || s.TagValue == "" {
		wrong("SWELL_EKS_TAG", "give a tag that only the suite's own groups carry, such as swell/pool=eks-suite")
	}
	for name, value := range map[string]*float64{"SWELL_EKS_HOURLY": &s.Hourly, "SWELL_EKS_MAX_COST": &s.MaxCost} {
		var err error
		if *value, err = strconv.ParseFloat(getenv(name), 64); err != nil || !(*value > 0 && *value < 1e6) {
			wrong(name, "give the on-demand price an hour of the groups' dearest type, and the most that the suite may cost, above 0")
		}
	}
	s.MaxNodes = 2
	if text := getenv("SWELL_EKS_MAX_NODES"); text != "" {
		var err error
		if s.MaxNodes, err = strconv.Atoi(text); err != nil || s.MaxNodes < 2 || s.MaxNodes > 10 {
			wrong("SWELL_EKS_MAX_NODES", "give 2 to 10, or leave it out for 2")
		}
	}
	if len(errs) == 0 && s.Worst() > s.MaxCost {
		errs = append(errs, fmt.Errorf("SWELL_EKS_MAX_COST is %.2f: %d nodes of %.4g an hour for %s, with the hour that some types are billed at least, cost up to %.2f; allow that, or give a smaller type",
			s.MaxCost, s.MaxNodes, s.Hourly, Within, s.Worst()))
	}
	return s, errors.Join(errs...)
}

// Worst is what the suite costs where every node stays for all of it, and each is billed a whole hour.
func (s Settings) Worst() float64 { return float64(s.MaxNodes) * s.Hourly * max(1, Within.Hours()) }
