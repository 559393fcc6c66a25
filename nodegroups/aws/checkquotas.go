package aws

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"

	"swell/nodegroups"
)

// vcpuQuota is a quota of vCPUs that run at once.
type vcpuQuota struct {
	// of is the families in words; empty is the standard ones.
	of             string
	families       []string
	onDemand, spot string // codes; empty is none
}

// vcpuQuotas as EC2's documentation of on-demand and spot instance quotas lists them.
var vcpuQuotas = []vcpuQuota{
	{"", []string{"a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"}, "L-1216C47A", "L-34B43A08"},
	{"G and VT", []string{"g", "gr", "vt"}, "L-DB2E81BA", "L-3819A6DF"},
	{"P", []string{"p"}, "L-417A185B", "L-7212CCBC"},
	{"Inf", []string{"inf"}, "L-1945791B", "L-B5D1601B"},
	{"Trn", []string{"trn"}, "L-2C3B7624", "L-6B0D517C"},
	{"DL", []string{"dl"}, "L-6E869C2A", "L-85EED4F7"},
	{"F", []string{"f"}, "L-74FC7D96", "L-88CF9481"},
	{"X", []string{"x"}, "L-7295265B", "L-E3A00192"},
	{"HPC", []string{"hpc"}, "L-F7808C92", ""},
	{"high memory", []string{"u"}, "L-43DA4232", ""},
}

// p5 has a quota of its own on spot instances.
var p5 = vcpuQuota{"P5", nil, "", "L-C4BD4855"}

// quotaOf an instance type in a market: its code, and what it is on in words. An empty code is that there is none, or none known.
func quotaOf(instanceType string, market nodegroups.Market) (code, at string) {
	family := instanceType[:max(0, strings.IndexFunc(instanceType, func(r rune) bool { return r < 'a' || r > 'z' }))]
	for _, q := range vcpuQuotas {
		if !slices.Contains(q.families, family) {
			continue
		}
		if market == nodegroups.Spot && strings.HasPrefix(instanceType, "p5") {
			q = p5
		}
		code = q.onDemand
		if market == nodegroups.Spot {
			code = q.spot
		}
		return code, strings.Join(strings.Fields(string(market)+" "+q.of+" vCPUs"), " ")
	}
	return "", ""
}

// quotas compares what the pools may have with the account's quotas of vCPUs.
func (k *checker) quotas(ctx context.Context, pools []Checked) {
	need, words := map[string]float64{}, map[string]string{}
	for _, p := range pools {
		p.MayChange = false
		groups, _, err := k.Select(ctx, p.Selection)
		if err != nil {
			continue // it was told of
		}
		for code, n := range k.vcpus(groups, p.MaxNodes) {
			need[code] += n
		}
		for _, g := range groups {
			for _, name := range g.InstanceTypes {
				code, at := quotaOf(name, g.Market)
				if code == "" {
					words[name] = ""
				} else {
					words[code] = at
				}
			}
		}
	}
	values, err := k.quotaValues(ctx)
	if err != nil {
		k.unread("quota", "vCPUs", "the account's quotas", "servicequotas:ListServiceQuotas", err)
		return
	}
	for code, at := range words {
		value, ok := values[code]
		switch {
		case at == "":
			k.add(NotProven, "quota", code, "which quota its family counts against is not known here", "compare it by hand: aws service-quotas list-service-quotas --service-code ec2")
		case !ok:
			k.add(NotProven, "quota", at, "the account shows no quota "+code, "compare it by hand: aws service-quotas get-service-quota --service-code ec2 --quota-code "+code)
		case value < need[code]:
			k.add(FindingProblem, "quota", at, fmt.Sprintf("the quota %s is %.0f, and the pools at their largest take %.0f", code, value, need[code]), "ask for more of it, or lower spec.limits.maxNodes")
		default:
			k.add(FindingOK, "quota", at, fmt.Sprintf("the quota %s of %.0f holds the pools at their largest, %.0f; what else the account runs is not counted", code, value, need[code]), "")
		}
	}
}

// quotaValues are EC2's quotas by code.
func (k *checker) quotaValues(ctx context.Context) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, k.options.CallTimeout)
	defer cancel()
	values := map[string]float64{}
	pages := servicequotas.NewListServiceQuotasPaginator(servicequotas.NewFromConfig(k.config), &servicequotas.ListServiceQuotasInput{ServiceCode: awssdk.String("ec2")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, q := range page.Quotas {
			values[awssdk.ToString(q.QuotaCode)] = awssdk.ToFloat64(q.Value)
		}
	}
	return values, nil
}

// vcpus that the groups of a pool take at most of each quota, by the largest type in it.
func (k *checker) vcpus(groups []nodegroups.Group, maxNodes int) map[string]float64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	nodes, most := map[string]int{}, map[string]int32{}
	type counted struct{ code, asg string }
	seen := map[counted]bool{}
	for _, g := range groups {
		for _, name := range g.InstanceTypes {
			code, _ := quotaOf(name, g.Market)
			if v := k.types[name].VCpuInfo; v != nil {
				most[code] = max(most[code], awssdk.ToInt32(v.DefaultVCpus))
			}
			if c := (counted{code, g.AutoScalingGroup()}); !seen[c] {
				seen[c] = true
				nodes[code] += g.Max
			}
		}
	}
	out := map[string]float64{}
	for code, n := range nodes {
		out[code] = float64(min(n, cmp.Or(maxNodes, n))) * float64(most[code])
	}
	return out
}
