package aws

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/smithy-go/middleware"
)

// refusedAfterLost is a refusal of a call of which an earlier attempt got no answer, and may have had its effect.
type refusedAfterLost struct{ error }

func (e refusedAfterLost) Unwrap() error { return e.error }

// notesLost is an option of one call: it tells a refusal of the call from one of a repetition by the SDK alone.
func notesLost(o *autoscaling.Options) {
	lost := false
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("SwellLostAttempts",
			func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
				out, metadata, err := next.HandleFinalize(ctx, in)
				switch {
				case err == nil:
				case unsure(err):
					lost = true
				case lost:
					err = refusedAfterLost{err}
				}
				return out, metadata, err
			}), "Retry", middleware.After)
	})
}

// isAfterLost reports whether an error is such a refusal.
func isAfterLost(err error) bool {
	var after refusedAfterLost
	return errors.As(err, &after)
}
