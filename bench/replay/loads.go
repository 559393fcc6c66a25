package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"swell/bench/traces"
	"swell/scaler/replay"
	"swell/scaler/schedule"
	"swell/scaler/series"
)

// load is a recorded load; kept is its name in bench/traces, if the project has it.
type load struct{ name, file, kept, zone, country string }

var loads = []load{
	{"nasa", "nasa_http_requests_5m", traces.NASA, "America/New_York", "US"},
	{"nyc_taxi", "nyc_taxi_passengers_30m", "", "America/New_York", "US"},
	{"uk_isp", "uk_isp_traffic_5m", "", "Europe/London", "GB"},
	{"wikimedia", "wikimedia_pageviews_1h", traces.Wikimedia, "UTC", ""},
	{"worldcup98", "worldcup98_requests_5m", traces.WorldCup98, "Europe/Paris", "FR"},
}

// readable is a load with all that a replay takes of it.
type readable struct {
	load
	in replay.Input
}

func readAll(folder string, loads []load) (found []readable, absent []string, err error) {
	for _, l := range loads {
		s, ok, err := l.read(folder)
		if err != nil {
			return nil, nil, fmt.Errorf("reading %s: %w", l.name, err)
		}
		if !ok {
			absent = append(absent, l.file+".csv")
			continue
		}
		r := readable{load: l, in: replay.Input{Trace: s, Seed: 1}}
		if r.in.Location, err = time.LoadLocation(l.zone); err != nil {
			return nil, nil, fmt.Errorf("reading %s: %w", l.name, err)
		}
		if l.country != "" {
			if r.in.Holiday, err = schedule.Holidays(l.country); err != nil {
				return nil, nil, fmt.Errorf("reading %s: %w", l.name, err)
			}
		}
		found = append(found, r)
	}
	return found, absent, nil
}

// read is a load's series: the folder's file where it has one, else what the project keeps; false where there is neither.
func (l load) read(folder string) (s series.Series, found bool, err error) {
	path := filepath.Join(folder, l.file+".csv")
	if _, e := os.Stat(path); folder != "" && e == nil {
		s, err = series.ReadFile(path)
		return s, true, err
	}
	if l.kept == "" {
		return s, false, nil
	}
	s, err = traces.Load(l.kept)
	return s, true, err
}
