package ship

import (
	"context"

	"swell/scaler/ledger"
)

// Waiting is the metric of the files that wait.
var Waiting = waiting

// Turn is one of Run's.
func (s *Shipper) Turn(ctx context.Context, l *ledger.Ledger) { s.turn(ctx, l, Every) }
