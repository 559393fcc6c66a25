// Package forecast turns a regular series of demand into a point and a quantile for every horizon, and into a quantile
// of the largest demand over the next minutes, and of the demand when what is ordered now begins to serve.
//
// A row stamped t covers [t, t+step). With o the last row that is complete and h a horizon in rows, row o+h is forecast
// from rows up to o and nothing later. All that is kept of a series is bounded, and does not grow with its length: rows of
// three hours, slots of 5 min for a week and of 30 min for eight weeks, and decayed sums.
//
// Experts. "Same slot" is the same local wall-clock time some days before, so that clock changes do not shift it;
// past rows are averaged over ±5 min. B is one of six bases: yesterday, last week, the mean of the last four weeks,
// the mean of the last seven days, the mean of those of the last seven days of the target's kind (working day, or
// Saturday, or Sunday and holidays), and the mean of eight weeks. Weeks count whose day is of the target's kind; a
// holiday without one takes the last Sunday. The first five, each scaled to the recent level over w, one of 15 min, 1 h,
// 3 h, are experts:
//
//	expert(B, w) = B(o+h) · sum of load over the last w / sum of B over the same w
//
// Beside these fifteen stand the last value, the mean of the last 15 min, and two trends: the last level carried on at
// its log-slope over 20 min or 1 h, which fades with a half-life of as much.
//
// Blend. e_k is expert k's absolute error at this horizon, averaged with a half-life of 2 h; the blend is
//
//	F₀ = Σ w_k·expert_k / Σ w_k,   w_k = e_k^−4
//
// Regressions. With R the expert of four weeks and 1 h (of a shorter past where there is none), c = 0.5 % of the usual
// load and y = ln((load+c)/(R+c)), bounded by ±1.5, weighted least squares with forgetting give y from features known at
// the origin, all of them logarithms of ratios: each base's shape against R; the level of the last minutes, 3 h and the
// day against that of the last hour; the hour's level against the four weeks; the last load, the 20-minute trend and F₀
// against R; the mean residual of the last 10 min and 3 h, and of the same half hour on earlier days; sine and cosine of
// the local time, and their products with four of these. A row's weight is its size to the power of 0.7, and less where
// its residual is beyond 1.5 local scales (Huber). Two are kept, of half-lives 2 and 12 days; sums are decayed, and a
// ridge of 2 % of each feature's own sum is added when they are solved, so that a feature that stopped moving is not
// forgotten into noise. The point is the geometric mean of both and the blend, weighed by the −10th power of their
// absolute error, averaged with a half-life of 12 h (0.6 of that for the blend): a regression that strays loses its
// weight within hours. They are learned for horizons from 5 min to 3 h, after a day; other horizons are the blend.
//
// Quantile. r = ln((load+c)/(F+c)). Its local scale s begins with the mean |r| at the same slot (half-life 5 days), with
// a half-life of 1 h, and overall (14 days):
//
//	s₀ = slot^0.5 · recent^0.4 · overall^0.1, the first two within a factor of 5 of the third
//
// and a second regression gives ln(|r|/s₀) from these, the spread of the experts, the distance of regression and blend,
// the size of the point, the jump of the last minutes and the time of day. With q the τ-quantile of r/s, of rank (n+1)τ
// in a histogram with a half-life of 14 days, the bound is
//
//	U = (F+c)·exp(s·q) − c
//
// (Split conformal prediction with a local scale: Lei et al., Distribution-free predictive inference for regression,
// 2018, §5.2. Its coverage holds on average over the half-life, not at each hour.)
//
// The largest demand over a lead of L rows is forecast as the largest of four points within L and has its own q from
// maxima that were resolved; quantiles of single rows are never added up.
//
// Orders. What is ordered at o serves a lead of L rows later; A = the largest of the rows o+L to o+L+4 min, exclusive, is
// what it is ordered for. With P the point at o+L, ln((A+c)/(P+c)) is learned by least squares with a half-life of 4 days,
// at every row, from the differences of the mean levels of the last 1, 2, 5, 10, 15, 30 and 60 min, from the level against
// P, and from what the last seven days grew by from the time of the origin to that of the target, ±5 min. The local scale
// knows beside the errors how far those seven days are apart and how much the steepest one grew; then as above.
// Between rows the open one counts: e, its logarithm less what was foretold of it from the same levels, moves the bound
// by e·(Σ e·r / Σ e²)·√(the part of the row that has passed), sums over earlier rows with a half-life of 6 days.
//
// Outliers. What a day grew by between the hour before and the target counts at most threefold more or less than the median
// of the days of its kind; an expert at most twofold more or less than the blend's weighted median. A stretch of at most
// 3 h that strays from its base by ten times more than the day did is taken for an outage or a spike, and is unknown
// afterwards: the same slot of later days does not see it. A longer one is a new level.
// Errors and residuals are bounded before they are averaged.
//
// Coarse history. Backfill spreads rows that are longer than the step over the step, on straight lines between their
// middles. Such rows lack the noise within them; what is learned without it trusts the last minute alone. So each is given
// noise of 2 % a minute, the same at every run. Where live rows have more, bounds are widened: with σ the deviation of
// a live row's logarithm from the middle of its neighbours, p the share of outcomes that came from coarse rows and
// z the normal quantile, the exponent becomes hypot(s·q, p·z(τ)·√(σ²−0.02²)) (for τ below a half nothing is added).
// Before half an hour is seen live, σ is that of a coarse row from the line through its neighbours, times √(m−1) for
// m steps a coarse row.
//
// Unknown rows are skipped: no error, no residual and no level is learned from them.
package forecast
