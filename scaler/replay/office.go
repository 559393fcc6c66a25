package replay

import (
	"math"
	"time"
)

// office is a chat service for offices: quiet at night, a steep morning, a dip at noon, a slow evening.
type office struct {
	seed     int64
	noise    float64
	location *time.Location
	holiday  func(time.Time) bool
	bursts   [2]int64 // when they begin

	// What the day and the minute have in common, of those that were asked for last.
	date, nextDate int64 // unix seconds of local midnight, and of the next
	level          float64
	free           bool
	minute         int64
	factor         float64
}

const (
	officeNight, officeDay, officeNoon, officeFree = 60.0, 600.0, 450.0, 90.0
	officeStep                                     = 80.0 // at 09:00 sharp
	officeLevel                                    = 0.05 // deviation of a day's level, of its logarithm
	burstPods                                      = 150.0
	burstRise, burstLasting, burstFall             = 120.0, 1800.0, 600.0 // seconds
)

// Streams of random numbers.
const (
	drawLevel uint64 = iota + 1
	drawBurstDay
	drawBurstTime
	drawBoot
	drawReclaim
	drawOutage
)

// ofOffice is the synthetic demand of a seed: twelve weeks that end after the holidays of May.
func ofOffice(s Scenario, in Input) (demand, span) {
	o := &office{seed: in.Seed, noise: *s.Demand.Noise, location: in.Location, holiday: in.Holiday}
	from := time.Date(2026, 4, 13, 0, 0, 0, 0, in.Location)
	sp := span{from.Add(-s.Demand.History.Duration).Unix(), from.Unix(), from.Add(s.Demand.Play.Duration).Unix()}
	var days []int64 // working days that are played
	for t := sp.from; t < sp.to; t = o.nextDate {
		if o.enter(t); !o.free {
			days = append(days, o.date)
		}
	}
	for i := range o.bursts {
		if len(days) == 0 {
			break
		}
		k := int(draw(o.seed, drawBurstDay, uint64(i)) * float64(len(days)))
		// From 10:00 to 17:00 local time, so that it is not hidden in the morning's rise.
		o.bursts[i] = days[k] + 10*3600 + int64(draw(o.seed, drawBurstTime, uint64(i))*7*3600)
		days = append(days[:k], days[k+1:]...)
	}
	o.nextDate = 0
	return o, sp
}

// enter makes the local day of t the current one.
func (o *office) enter(t int64) {
	if t >= o.date && t < o.nextDate {
		return
	}
	local := time.Unix(t, 0).In(o.location)
	midnight := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, o.location)
	o.date, o.nextDate = midnight.Unix(), midnight.AddDate(0, 0, 1).Unix()
	weekday := local.Weekday()
	o.free = weekday == time.Saturday || weekday == time.Sunday || o.holiday != nil && o.holiday(local)
	o.level = math.Exp(officeLevel * normal(draw(o.seed, drawLevel, uint64(o.date/86400))))
}

func (o *office) at(t int64) int {
	o.enter(t)
	if m := floorDiv(t, 60); m != o.minute || o.factor == 0 {
		o.minute, o.factor = m, 1+o.noise*minuteNoise(m+o.seed<<32)
	}
	v := officeFree
	if !o.free {
		v = shape(float64(t-o.date) / 3600)
	}
	for _, b := range o.bursts {
		v += burst(float64(t - b))
	}
	return int(math.Ceil(v * o.level * o.factor))
}

// shape is the load of a working day at an hour of it.
func shape(hour float64) float64 {
	line := func(from, to, a, b float64) float64 { return a + (b-a)*(hour-from)/(to-from) }
	const ramp, rampEnd, noon, ramped = 8 + 40.0/60, 9 + 10.0/60, 12.0, 10.0 / 60
	switch {
	case hour < ramp || hour >= 21:
		return officeNight
	case hour < rampEnd:
		v := line(ramp, rampEnd, officeNight, officeDay-officeStep)
		if hour >= 9 {
			v += officeStep
		}
		return v
	case hour >= 18:
		return line(18, 21, officeDay, officeNight)
	case hour < noon || hour >= noon+1+ramped:
		return officeDay
	case hour < noon+ramped:
		return line(noon, noon+ramped, officeDay, officeNoon)
	case hour < noon+1:
		return officeNoon
	}
	return line(noon+1, noon+1+ramped, officeNoon, officeDay)
}

// burst is what a burst adds some seconds after it began.
func burst(since float64) float64 {
	switch {
	case since < 0 || since >= burstRise+burstLasting+burstFall:
		return 0
	case since < burstRise:
		return burstPods * since / burstRise
	case since < burstRise+burstLasting:
		return burstPods
	}
	return burstPods * (1 - (since-burstRise-burstLasting)/burstFall)
}
