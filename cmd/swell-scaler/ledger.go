package main

import (
	"context"
	"log/slog"
	"os"

	"swell/api/config"
	"swell/scaler/ledger"
	"swell/scaler/ledger/ship"
)

// openLedger opens the ledger as it is configured. copies is nil where none go to S3.
func openLedger(ctx context.Context, c config.Scaler, log *slog.Logger) (book *ledger.Ledger, copies *ship.Shipper, err error) {
	o := ledger.Options{MaxSize: c.Ledger.MaxSize.Value(), MaxAge: c.Ledger.MaxAge.Duration, Log: log}
	if c.Ledger.Stdout {
		o.Copy = os.Stdout
	}
	if c.Ledger.S3 != nil {
		copies, err = ship.New(ctx, ship.Options{Dir: c.LedgerDir, To: *c.Ledger.S3, Clock: c.Clock, Log: log})
		if err != nil {
			return nil, nil, err
		}
		o.Kept = copies.Done
	}
	book, err = ledger.OpenWith(c.LedgerDir, o)
	return book, copies, err
}
