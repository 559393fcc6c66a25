package ledger_test

import (
	"testing"

	"swell/scaler/ledger"
)

// Over a change of the ledger's folder, the older chain knows how an instance was bought, and the newer one what became of it.
func TestALifeGoesOnInAnotherFolder(t *testing.T) {
	bought := ledger.Instance{ID: "i-1", Group: "od", Token: "t", Base: true, Fallback: true, Prepaid: true, LaunchedAt: noon}
	gone := entry(60).At
	seen := ledger.Instance{ID: "i-1", Group: "od", LaunchedAt: noon, Seen: true, Node: "n", GoneAt: &gone, End: "returned"}
	want := bought
	want.Node, want.GoneAt, want.End = "n", &gone, "returned"
	if got := seen.After(bought); got != want {
		t.Errorf("after the older it is %+v: want %+v", got, want)
	}
	if got := seen.After(seen); got != seen {
		t.Errorf("where neither knows: %+v", got)
	}
	own := bought
	own.Token, own.Base = "", false // it is known that nobody bought it
	if got := own.After(bought); got != own {
		t.Errorf("where the newer knows: %+v: want its own", got)
	}
	if got := bought.After(seen); got != bought {
		t.Errorf("where the older does not know: %+v", got)
	}
}
