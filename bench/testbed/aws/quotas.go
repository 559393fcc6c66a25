package aws

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// The codes of some of EC2's quotas on vCPUs: those of standard instance types, and those of G and VT.
const (
	QuotaOnDemand    = "L-1216C47A"
	QuotaSpot        = "L-34B43A08"
	QuotaOnDemandGPU = "L-DB2E81BA"
	QuotaSpotGPU     = "L-3819A6DF"
)

var quotaNames = map[string]string{
	QuotaOnDemand:    "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
	QuotaSpot:        "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests",
	QuotaOnDemandGPU: "Running On-Demand G and VT instances",
	QuotaSpotGPU:     "All G and VT Spot Instance Requests",
}

// quotaCode is the quota that an instance counts against; all but G and VT count as standard here.
func quotaCode(market, instanceType string) string {
	gpu := strings.HasPrefix(instanceType, "g") || strings.HasPrefix(instanceType, "vt")
	switch {
	case gpu && market == "spot":
		return QuotaSpotGPU
	case gpu:
		return QuotaOnDemandGPU
	case market == "spot":
		return QuotaSpot
	}
	return QuotaOnDemand
}

func (f Fleet) quota(code string) float64 {
	if v, ok := f.Quotas[code]; ok {
		return v
	}
	return 100000
}

// overQuota is the error of one more instance, or empty. The lock is held.
func (e *Emulator) overQuota(market, instanceType string) (code, message string) {
	used, counts := e.fleet.InstanceTypes[instanceType].VCPU, quotaCode(market, instanceType)
	for _, id := range e.state.order {
		if i := e.state.instances[id]; quotaCode(i.Market, i.Type) == counts && (i.running() || i.State == stateShuttingDown) {
			used += e.fleet.InstanceTypes[i.Type].VCPU
		}
	}
	limit := e.fleet.quota(counts)
	switch {
	case float64(used) <= limit:
		return "", ""
	case market == "spot":
		return "MaxSpotInstanceCountExceeded", "Max spot instance count exceeded"
	}
	return "VcpuLimitExceeded", fmt.Sprintf("You have requested more vCPU capacity than your current vCPU limit of %.0f allows for the instance bucket that the specified instance type belongs to. "+
		"Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.", limit)
}

type quotaJSON struct {
	ServiceCode, ServiceName, QuotaCode, QuotaName, QuotaArn, Unit string
	Value                                                          float64
	Adjustable, GlobalQuota                                        bool
}

func (e *Emulator) quotaJSON(code string) quotaJSON {
	return quotaJSON{ServiceCode: "ec2", ServiceName: "Amazon Elastic Compute Cloud (Amazon EC2)", QuotaCode: code, QuotaName: quotaNames[code], Unit: "None", Adjustable: true,
		QuotaArn: fmt.Sprintf("arn:aws:servicequotas:%s:%s:ec2/%s", e.fleet.Region, account, code), Value: e.fleet.quota(code)}
}

func (e *Emulator) quotaInput(r *request) (in struct{ ServiceCode, QuotaCode string }, bad *apiError) {
	if err := json.Unmarshal(r.body, &in); err != nil {
		return in, refuse(http.StatusBadRequest, "SerializationException", "The body is not valid JSON: %v", err)
	}
	if in.ServiceCode != "ec2" {
		return in, refuse(http.StatusBadRequest, "NoSuchResourceException", "The request failed because the specified service does not exist.")
	}
	return in, nil
}

func (e *Emulator) listQuotas(r *request) (any, *apiError) {
	if _, bad := e.quotaInput(r); bad != nil {
		return nil, bad
	}
	all := []quotaJSON{}
	for _, code := range slices.Sorted(maps.Keys(quotaNames)) {
		all = append(all, e.quotaJSON(code))
	}
	return map[string]any{"Quotas": all}, nil
}

func (e *Emulator) getQuota(r *request) (any, *apiError) {
	in, bad := e.quotaInput(r)
	if bad != nil {
		return nil, bad
	}
	if quotaNames[in.QuotaCode] == "" {
		return nil, refuse(http.StatusBadRequest, "NoSuchResourceException", "The request failed because the specified quota does not exist.")
	}
	return map[string]any{"Quota": e.quotaJSON(in.QuotaCode)}, nil
}
