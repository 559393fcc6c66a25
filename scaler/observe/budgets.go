package observe

import (
	"context"
	"fmt"

	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/scaler/plan"
)

// Budgets reads the PodDisruptionBudgets. Where they cannot be read nothing may be returned, which is said in noSale.
func (w *World) Budgets(ctx context.Context, c client.Reader) (noSale string) {
	var list policyv1.PodDisruptionBudgetList
	if err := c.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		w.Problems = append(w.Problems, plan.Problem{Object: "PodDisruptionBudgets", What: fmt.Sprintf("reading them: %v", err),
			Mend: "give the scaler's role list and watch on poddisruptionbudgets of policy; until then no node is returned"})
		return "the PodDisruptionBudgets cannot be read"
	}
	for i := range list.Items {
		w.Snapshot.Budgets = append(w.Snapshot.Budgets, &list.Items[i])
	}
	return ""
}
