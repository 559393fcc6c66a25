package aws

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// SavingsPlan is a commitment to spend an amount an hour.
type SavingsPlan struct {
	// Kind is Compute or EC2Instance.
	Kind string `yaml:"kind"`
	// Family that an EC2Instance plan is for, such as m6i.
	Family string `yaml:"family,omitempty"`
	// Commitment in the prices' currency an hour.
	Commitment float64 `yaml:"commitment"`
	// Discount on the on-demand price, 0 to 1; default 0.28.
	Discount float64 `yaml:"discount,omitempty"`
	// State is active, the default, queued or retired.
	State string `yaml:"state,omitempty"`
	// Region of an EC2Instance plan; default the fleet's.
	Region string `yaml:"region,omitempty"`
}

func (p SavingsPlan) state() string {
	if p.State == "" {
		return "active"
	}
	return p.State
}

func (p SavingsPlan) region(own string) string {
	if p.Region == "" {
		return own
	}
	return p.Region
}

// rate of an instance type an hour; false is that the plan is not for it.
func (p SavingsPlan) rate(f Fleet, instanceType string) (float64, bool) {
	family, _, _ := strings.Cut(instanceType, ".")
	price, ok := f.Prices[instanceType]
	if !ok || p.Kind == "EC2Instance" && (family != p.Family || p.region(f.Region) != f.Region) {
		return 0, false
	}
	discount := p.Discount
	if discount == 0 {
		discount = 0.28
	}
	return price.OnDemand * (1 - discount), true
}

func (e *Emulator) describeSavingsPlans(r *request) (any, *apiError) {
	var in struct {
		States []string `json:"states"`
	}
	if err := json.Unmarshal(r.body, &in); err != nil {
		return nil, refuse(http.StatusBadRequest, "ValidationException", "The body is not valid JSON: %v", err)
	}
	plans := []map[string]any{}
	for n, p := range e.fleet.SavingsPlans {
		if len(in.States) > 0 && !slices.Contains(in.States, p.state()) {
			continue
		}
		plan := map[string]any{"savingsPlanId": e.uuid("plan", n), "savingsPlanType": p.Kind, "state": p.state(), "commitment": fmt.Sprintf("%.8f", p.Commitment), "currency": "USD",
			"paymentOption": "No Upfront", "productTypes": []string{"EC2"}, "start": timestamp(e.started), "termDurationInSeconds": 31536000}
		if p.Kind == "EC2Instance" {
			plan["ec2InstanceFamily"], plan["region"] = p.Family, p.region(e.fleet.Region)
		} else {
			plan["productTypes"] = []string{"EC2", "Fargate", "Lambda"}
		}
		plans = append(plans, plan)
	}
	return map[string]any{"savingsPlans": plans}, nil
}

func (e *Emulator) describePlanRates(r *request) (any, *apiError) {
	var in struct {
		ID      string `json:"savingsPlanId"`
		Filters []struct {
			Name   string   `json:"name"`
			Values []string `json:"values"`
		} `json:"filters"`
	}
	if err := json.Unmarshal(r.body, &in); err != nil {
		return nil, refuse(http.StatusBadRequest, "ValidationException", "The body is not valid JSON: %v", err)
	}
	at := 0
	for at < len(e.fleet.SavingsPlans) && e.uuid("plan", at) != in.ID {
		at++
	}
	if at == len(e.fleet.SavingsPlans) {
		return nil, refuse(http.StatusNotFound, "ResourceNotFoundException", "No savings plan has the id %s.", in.ID)
	}
	found := []map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(e.fleet.InstanceTypes)) {
		rate, ok := e.fleet.SavingsPlans[at].rate(e.fleet, name)
		has := map[string]string{"region": e.fleet.Region, "instanceType": name, "productDescription": "Linux/UNIX", "tenancy": "shared", "productType": "EC2", "serviceCode": "AmazonEC2"}
		for _, f := range in.Filters {
			ok = ok && slices.Contains(f.Values, has[f.Name])
		}
		if !ok {
			continue
		}
		properties := []map[string]string{}
		for _, key := range []string{"region", "instanceType", "productDescription", "tenancy"} {
			properties = append(properties, map[string]string{"name": key, "value": has[key]})
		}
		// a capacity reservation that is not used has a rate too
		for _, usage := range []string{"BoxUsage:", "UnusedBox:"} {
			found = append(found, map[string]any{"rate": fmt.Sprintf("%.8f", rate), "currency": "USD", "unit": "Hrs", "productType": "EC2", "serviceCode": "AmazonEC2",
				"usageType": "APN1-" + usage + name, "operation": "RunInstances", "properties": properties})
		}
	}
	return map[string]any{"savingsPlanId": in.ID, "searchResults": found}, nil
}
