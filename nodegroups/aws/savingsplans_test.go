package aws_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups"
	"swell/nodegroups/aws"
)

// An m6i.4xlarge costs 0.992 and takes 0.5 of a plan; the family's plan pays for two, the other for three with 0.1 left. Plans
// of another family or region, or not begun, pay for none.
func TestSavingsPlansPayForWhatTheirCommitmentsHold(t *testing.T) {
	w := newWorldOf(t, func(f *emulator.Fleet) {
		half := 1 - 0.5/0.992
		f.SavingsPlans = []emulator.SavingsPlan{
			{Kind: "Compute", Commitment: 1.6, Discount: half}, {Kind: "EC2Instance", Family: "m6i", Commitment: 1.0000001, Discount: half},
			{Kind: "EC2Instance", Family: "c6i", Commitment: 100}, {Kind: "EC2Instance", Family: "m6i", Region: "us-east-1", Commitment: 100},
			{Kind: "Compute", Commitment: 100, State: "queued"},
		}
	})
	w.pass(10 * time.Minute)
	for range 3 {
		groups, problems := w.prepaid()
		if groups[0].Market != nodegroups.OnDemand || groups[0].Prepaid != 5 || groups[1].Prepaid != 0 || groups[2].Prepaid != 0 {
			t.Fatalf("%d, %d and %d are prepaid, want 5 on demand and none on spot; problems %v", groups[0].Prepaid, groups[1].Prepaid, groups[2].Prepaid, problems)
		}
	}
	// the plan of c6i is asked for no rate
	if w.seen["DescribeSavingsPlans"] != 1 || w.seen["DescribeSavingsPlanRates"] != 2 {
		t.Errorf("%d readings of plans and %d of rates, want 1 and 2", w.seen["DescribeSavingsPlans"], w.seen["DescribeSavingsPlanRates"])
	}
}

func TestSavingsPlansThatCannotBeReadPayForNothingAndReservationsStillDo(t *testing.T) {
	for _, action := range []string{"DescribeSavingsPlans", "DescribeSavingsPlanRates"} {
		w := newWorldOf(t, func(f *emulator.Fleet) {
			f.Reserved = []emulator.Reserved{{Type: "m6i.4xlarge", Count: 2}}
			f.SavingsPlans = []emulator.SavingsPlan{{Kind: "Compute", Commitment: 100}}
		})
		w.order("deny", emulator.Order{Fault: emulator.Fault{Action: action}})
		groups, problems := w.prepaid()
		if groups[0].Prepaid != 2 || !slices.ContainsFunc(problems, func(p aws.Problem) bool {
			return strings.Contains(p.What, "savings plans") && strings.Contains(p.Mend, action)
		}) {
			t.Errorf("%s denied: %d are prepaid, problems %v", action, groups[0].Prepaid, problems)
		}
	}
}
