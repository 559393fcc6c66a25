package aws

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Reserved is an EC2 reservation that is paid for whether or not its instances run.
type Reserved struct {
	Type  string `yaml:"type"`
	Count int    `yaml:"count"`
	// Zone that it is for; empty is the whole region.
	Zone string `yaml:"zone,omitempty"`
	// Tenancy is default or dedicated; default is default.
	Tenancy string `yaml:"tenancy,omitempty"`
	// For is how long it lasts from the start; default a year.
	For time.Duration `yaml:"for,omitempty"`
}

type reservedXML struct {
	ID       string `xml:"reservedInstancesId"`
	Type     string `xml:"instanceType"`
	Zone     string `xml:"availabilityZone,omitempty"`
	Scope    string `xml:"scope"`
	Tenancy  string `xml:"instanceTenancy"`
	Count    int    `xml:"instanceCount"`
	State    string `xml:"state"`
	Product  string `xml:"productDescription"`
	Class    string `xml:"offeringClass"`
	Offering string `xml:"offeringType"`
	Start    string `xml:"start"`
	End      string `xml:"end"`
	Duration int64  `xml:"duration"`
}

func (e *Emulator) describeReserved(r *request) (any, *apiError) {
	filters := r.filters("Filter.", ".Value.")
	var out struct {
		Reserved []reservedXML `xml:"reservedInstancesSet>item"`
	}
	for n, x := range e.fleet.Reserved {
		lasts := x.For
		if lasts == 0 {
			lasts = 365 * 24 * time.Hour
		}
		end := e.started.Add(e.fleet.shorten(lasts))
		item := reservedXML{ID: e.uuid("reserved", n), Type: x.Type, Zone: x.Zone, Scope: "Region", Tenancy: cmp.Or(x.Tenancy, "default"), Count: x.Count, State: "active", Product: "Linux/UNIX", Class: "standard",
			Offering: "No Upfront", Start: timestamp(e.started), End: timestamp(end), Duration: int64(lasts / time.Second)}
		if x.Zone != "" {
			item.Scope = "Availability Zone"
		}
		if !r.now.Before(end) {
			item.State = "retired"
		}
		ok := true
		for _, f := range filters {
			v, known := map[string]string{"state": item.State, "scope": item.Scope, "instance-type": item.Type, "availability-zone": item.Zone}[f.Name]
			if !known {
				return nil, refuse(http.StatusBadRequest, "InvalidParameterValue", "The filter '%s' is invalid", f.Name)
			}
			ok = ok && slices.Contains(f.Values, v)
		}
		if ok {
			out.Reserved = append(out.Reserved, item)
		}
	}
	return out, nil
}

func (e *Emulator) describeAccountLimits(*request) (any, *apiError) {
	return struct {
		MaxGroups int `xml:"MaxNumberOfAutoScalingGroups"`
		MaxConfig int `xml:"MaxNumberOfLaunchConfigurations"`
		Groups    int `xml:"NumberOfAutoScalingGroups"`
		Config    int `xml:"NumberOfLaunchConfigurations"`
	}{500, 200, len(e.fleet.Groups), 0}, nil
}

type policyXML struct {
	Group   string `xml:"AutoScalingGroupName"`
	Name    string `xml:"PolicyName"`
	ARN     string `xml:"PolicyARN"`
	Type    string `xml:"PolicyType"`
	Enabled bool   `xml:"Enabled"`
}

func (e *Emulator) describePolicies(r *request) (any, *apiError) {
	name := r.form.Get("AutoScalingGroupName")
	size, bad := r.number("MaxRecords", 50, 1, 100)
	if bad != nil {
		return nil, bad
	}
	if name != "" {
		e.mu.Lock()
		_, bad := e.find(name)
		e.mu.Unlock()
		if bad != nil {
			return nil, bad
		}
	}
	var found []policyXML
	for _, g := range e.fleet.Groups {
		for _, p := range g.Policies {
			if matches(name, g.Name) {
				found = append(found, policyXML{Group: g.Name, Name: p, Type: "TargetTrackingScaling", Enabled: true,
					ARN: fmt.Sprintf("arn:aws:autoscaling:%s:%s:scalingPolicy:00000000-0000-0000-0000-000000000000:autoScalingGroupName/%s:policyName/%s", e.fleet.Region, account, g.Name, p)})
			}
		}
	}
	key := func(p policyXML) string { return p.Group + "\x00" + p.Name }
	slices.SortFunc(found, func(a, b policyXML) int { return strings.Compare(key(a), key(b)) })
	found, next, bad := page(found, key, "DescribePolicies", r.form.Get("NextToken"), size)
	return struct {
		Policies  []policyXML `xml:"ScalingPolicies>member"`
		NextToken string      `xml:"NextToken,omitempty"`
	}{found, next}, bad
}

var stsService, iamService, quotasService, savingsService, pricingService service

func init() {
	stsService = service{
		name:     "sts",
		actions:  map[string]func(*Emulator, *request) (any, *apiError){"GetCallerIdentity": (*Emulator).callerIdentity},
		throttle: apiError{Status: http.StatusBadRequest, Code: "Throttling", Message: "Rate exceeded"},
		denied:   apiError{Status: http.StatusForbidden, Code: "AccessDenied"},
		write:    queryWriter("https://sts.amazonaws.com/doc/2011-06-15/"), fail: queryFailer("https://sts.amazonaws.com/doc/2011-06-15/"),
	}
	iamService = service{
		name:     "iam",
		actions:  map[string]func(*Emulator, *request) (any, *apiError){"SimulatePrincipalPolicy": (*Emulator).simulatePolicy, "GetRole": (*Emulator).getRole},
		throttle: apiError{Status: http.StatusBadRequest, Code: "Throttling", Message: "Rate exceeded"},
		denied:   apiError{Status: http.StatusForbidden, Code: "AccessDenied"},
		write:    queryWriter("https://iam.amazonaws.com/doc/2010-05-08/"), fail: queryFailer("https://iam.amazonaws.com/doc/2010-05-08/"),
	}
	quotasService = service{
		name: "servicequotas",
		actions: map[string]func(*Emulator, *request) (any, *apiError){
			"ListServiceQuotas": (*Emulator).listQuotas, "GetServiceQuota": (*Emulator).getQuota,
		},
		throttle: apiError{Status: http.StatusBadRequest, Code: "TooManyRequestsException", Message: "Rate exceeded"},
		denied:   apiError{Status: http.StatusBadRequest, Code: "AccessDeniedException"},
		write:    writeJSON11, fail: failJSON11,
	}
	pricingService = service{
		name:     "pricing",
		actions:  map[string]func(*Emulator, *request) (any, *apiError){"GetProducts": (*Emulator).getProducts},
		throttle: apiError{Status: http.StatusBadRequest, Code: "ThrottlingException", Message: "Rate exceeded"},
		denied:   apiError{Status: http.StatusBadRequest, Code: "AccessDeniedException"},
		write:    writeJSON11, fail: failJSON11,
	}
	savingsService = service{
		name:     "savingsplans",
		actions:  map[string]func(*Emulator, *request) (any, *apiError){"DescribeSavingsPlans": (*Emulator).describeSavingsPlans, "DescribeSavingsPlanRates": (*Emulator).describePlanRates},
		throttle: apiError{Status: http.StatusTooManyRequests, Code: "ThrottlingException", Message: "Rate exceeded"},
		denied:   apiError{Status: http.StatusForbidden, Code: "AccessDeniedException"},
		write:    writeJSON11, fail: failJSON11,
	}
}

func (e *Emulator) callerIdentity(*request) (any, *apiError) {
	return struct {
		ARN     string `xml:"Arn"`
		User    string `xml:"UserId"`
		Account string `xml:"Account"`
	}{e.fleet.Caller, "AIDACKCEVSQ6C2EXAMPLE", account}, nil
}

const callerARN = "arn:aws:iam::" + account + ":user/emulated"

// principal is the ARN of the user or role that is asking, which for a session of a role is another than the session's.
func (f Fleet) principal() string {
	if name, ok := f.role(); ok {
		return "arn:aws:iam::" + account + ":role" + f.RolePath + name
	}
	return f.Caller
}

// role whose session is asking.
func (f Fleet) role() (string, bool) {
	_, rest, ok := strings.Cut(f.Caller, ":assumed-role/")
	name, _, _ := strings.Cut(rest, "/")
	return name, ok
}

type roleXML struct {
	ARN  string `xml:"Arn"`
	Name string `xml:"RoleName"`
	Path string `xml:"Path"`
}

func (e *Emulator) getRole(r *request) (any, *apiError) {
	name, ok := e.fleet.role()
	if asked := r.form.Get("RoleName"); !ok || asked != name {
		return nil, refuse(http.StatusNotFound, "NoSuchEntity", "The role with name %s cannot be found.", asked)
	}
	return struct {
		Role roleXML `xml:"Role"`
	}{roleXML{e.fleet.principal(), name, e.fleet.RolePath}}, nil
}

type decisionXML struct {
	Action   string `xml:"EvalActionName"`
	Resource string `xml:"EvalResourceName"`
	Decision string `xml:"EvalDecision"`
}

// simulatePolicy allows what no deny fault refuses.
func (e *Emulator) simulatePolicy(r *request) (any, *apiError) {
	actions := r.list("ActionNames.member.")
	if r.form.Get("PolicySourceArn") == "" || len(actions) == 0 {
		return nil, invalid("1 validation error detected: Value null at 'policySourceArn' failed to satisfy constraint: Member must not be null")
	}
	if asked := r.form.Get("PolicySourceArn"); asked != e.fleet.principal() {
		return nil, refuse(http.StatusNotFound, "NoSuchEntity", "Invalid Entity Arn: %s does not exist.", asked)
	}
	var out struct {
		Results   []decisionXML `xml:"EvaluationResults>member"`
		Truncated bool          `xml:"IsTruncated"`
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range actions {
		service, action, ok := strings.Cut(a, ":")
		if !ok {
			return nil, refuse(http.StatusBadRequest, "InvalidInput", "Invalid action name %s", a)
		}
		d := decisionXML{Action: a, Resource: "*", Decision: "allowed"}
		for _, f := range e.state.faults {
			if f.Kind == FaultDeny && f.in(r.now) && matches(f.Service, service) && matches(f.Action, action) {
				d.Decision = "implicitDeny"
			}
		}
		out.Results = append(out.Results, d)
	}
	return out, nil
}

func writeJSON11(w http.ResponseWriter, _, _ string, result any) {
	writeJSON(w, http.StatusOK, "application/x-amz-json-1.1", result)
}

func failJSON11(w http.ResponseWriter, _ string, err *apiError) {
	w.Header().Set("X-Amzn-Errortype", err.Code)
	writeJSON(w, err.Status, "application/x-amz-json-1.1", map[string]string{"__type": err.Code, "Message": err.Message, "message": err.Message})
}
