// Package forecast turns a regular series of demand into a point and a quantile for every horizon, and into a quantile
// of the largest demand over the next minutes.
//
// A row stamped t covers [t, t+step). With o the last row that is complete and h a horizon in rows, row o+h is forecast
// from rows up to o and nothing later.
//
// Experts. "Same slot" is the same local wall-clock time some days before, so that clock changes do not shift it;
// past rows are averaged over ±10 min. B is one of five bases: yesterday, last week, the mean of the last four weeks,
// the mean of the last seven days, the mean of those of the last seven days of the target's kind (working day, or
// Saturday, or Sunday and holidays). Each base is scaled to the recent level over w, one of 15 min, 1 h, 3 h:
//
//	expert(B, w) = B(o+h) · sum of load over the last w / sum of B over the same w
//
// Beside these fifteen stand the last value, the mean of the last 15 min, and two trends: the last level carried on at
// its log-slope over 20 min or 1 h, which fades with a half-life of as much.
//
// Blend. e_k is expert k's absolute error at this horizon, averaged with a half-life of 6 h; the point is
//
//	F = Σ w_k·expert_k / Σ w_k,   w_k = e_k^−4
//
// Quantile. r = ln((actual+c)/(F+c)), c = 0.5 % of the last week's mean. Its local scale is
//
//	s = slot^a · recent^b · overall^(1−a−b)
//
// of the mean |r| at the same slot over 14 days, with a half-life of 1 h, and over 28 days; the first two are kept
// within a factor of 5 of the last, a = 0.5 and b = 0.4. With q the τ-quantile of r/s over 28 days, rank ceil((n+1)τ), the bound is
//
//	U = (F+c)·exp(s·q) − c
//
// The largest demand over a lead of L rows is forecast as the largest of the points of horizons up to L and has its own
// r, s and q from maxima that were resolved; quantiles of single rows are never added up.
//
// Coarse history. Backfill spreads rows that are longer than the step over the step, on straight lines between their
// middles. Such rows lack the noise within them, so bounds are widened: with σ the deviation of a coarse row's
// logarithm from the straight line through its neighbours, m steps a coarse row and p the share of the window that
// came from coarse rows, the exponent becomes hypot(s·q, p·z(τ)·σ·√(m−1)) where z is the normal quantile (for τ below
// a half nothing is added).
//
// Unknown rows are skipped: no error, no residual and no level is learned from them.
package forecast
