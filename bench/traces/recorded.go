package traces

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"swell/scaler/schedule"
	"swell/scaler/series"
)

// Recorded is a load that forecasts and replays are measured on.
type Recorded struct {
	Name    string // as in tables
	File    string // in the folder of traces, without .csv
	Kept    string // what Load calls it, if the project has it
	Zone    string
	Country string // whose holidays count as Sundays; none where empty
}

// All are the recorded loads, by name.
func All() []Recorded {
	return []Recorded{
		{NASA, "nasa_http_requests_5m", NASA, "America/New_York", "US"},
		{"nyc_taxi", "nyc_taxi_passengers_30m", "", "America/New_York", "US"},
		{"uk_isp", "uk_isp_traffic_5m", "", "Europe/London", "GB"},
		{Wikimedia, "wikimedia_pageviews_1h", Wikimedia, "UTC", ""},
		{WorldCup98, "worldcup98_requests_5m", WorldCup98, "Europe/Paris", "FR"},
	}
}

// Read is its series: the folder's file where it has one, else what the project keeps; false where there is neither.
func (r Recorded) Read(folder string) (s series.Series, found bool, err error) {
	path := filepath.Join(folder, r.File+".csv")
	if _, e := os.Stat(path); folder != "" && e == nil {
		s, err = series.ReadFile(path)
		return s, true, err
	}
	if r.Kept == "" {
		return s, false, nil
	}
	s, err = Load(r.Kept)
	return s, true, err
}

// Local is where it was recorded: the time zone, and the country's holidays, nil where none count.
func (r Recorded) Local() (location *time.Location, holiday func(time.Time) bool, err error) {
	if location, err = time.LoadLocation(r.Zone); err == nil && r.Country != "" {
		holiday, err = schedule.Holidays(r.Country)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading the load %s: %w", r.Name, err)
	}
	return location, holiday, nil
}
