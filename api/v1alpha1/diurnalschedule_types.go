package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DiurnalSchedule is headroom that is known beforehand: windows of the week, holidays, one-off events.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=ds-swell
// +kubebuilder:printcolumn:name="Zone",type=string,JSONPath=`.spec.timeZone`
type DiurnalSchedule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec DiurnalScheduleSpec `json:"spec"`
}

// DiurnalScheduleSpec is written by people, in Git.
type DiurnalScheduleSpec struct {
	// TimeZone is an IANA name, such as Asia/Tokyo.
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9_+/-]*$`
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self != 'Local' && timestamp('2026-01-01T00:00:00Z').getFullYear(self) > 0",message="give an IANA time zone such as Asia/Tokyo"
	TimeZone string `json:"timeZone"`
	// Windows repeat every week. Where several overlap, the largest counts.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Windows  []Window  `json:"windows,omitempty"`
	Holidays *Holidays `json:"holidays,omitempty"`
	// Events happen once. Where they overlap with windows or each other, the largest counts.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Events []Event `json:"events,omitempty"`
}

// Window is a stretch of local time on some days of the week. It belongs to the day that it begins on.
type Window struct {
	// Name tells it from the schedule's other windows.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// Days are names or ranges: Mon, Sat, Mon-Fri.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=7
	// +listType=set
	Days []DayRange `json:"days"`
	// From is a local time; 24:00 is the next day's 00:00 and not a beginning.
	// +kubebuilder:validation:XValidation:rule="self != '24:00'",message="begin at 00:00 of the next day instead of 24:00"
	From ClockTime `json:"from"`
	// To is a local time; one at or before From is on the next day.
	To ClockTime `json:"to"`
	// MinHeadroom is pods ("20") or a share of demand ("15%").
	MinHeadroom Headroom `json:"minHeadroom"`
}

// DayRange is a day or a range of days.
//
// +kubebuilder:validation:Pattern=`^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)(-(Mon|Tue|Wed|Thu|Fri|Sat|Sun))?$`
// +kubebuilder:validation:MaxLength=7
type DayRange string

// ClockTime is a local time of day, 00:00 to 24:00.
//
// +kubebuilder:validation:Pattern=`^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`
// +kubebuilder:validation:MaxLength=5
type ClockTime string

// Headroom is a number of pods up to 100000, or a percentage of demand up to 1000%.
//
// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+)?%?$`
// +kubebuilder:validation:MaxLength=16
// +kubebuilder:validation:XValidation:rule="self.endsWith('%') ? double(self.substring(0, self.size() - 1)) <= 1000.0 : double(self) <= 100000.0",message="give at most 1000%, or at most 100000 pods"
type Headroom string

// Holidays are days that count as another day of the week.
//
// +kubebuilder:validation:XValidation:rule="has(self.calendar) || has(self.calendars) || has(self.dates)",message="give a calendar, calendars or dates"
// +kubebuilder:validation:XValidation:rule="!has(self.calendar) || !has(self.calendars)",message="give calendar for one, or calendars for several, not both"
type Holidays struct {
	// Calendar is that of a country by its two letters, or of a part of it: JP, DE-BY.
	Calendar HolidayCalendar `json:"calendar,omitempty"`
	// Calendars are several; a holiday of any is one.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=set
	Calendars []HolidayCalendar `json:"calendars,omitempty"`
	// Dates are days off besides: 2026-12-30, or a range with both ends, 2026-12-29/2027-01-03.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +listType=set
	Dates []DateRange `json:"dates,omitempty"`
	// Except are days that count as what they are, whatever calendars and dates say.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +listType=set
	Except []DateRange `json:"except,omitempty"`
	// TreatAs is the day of the week that they count as.
	// +kubebuilder:validation:Enum=Mon;Tue;Wed;Thu;Fri;Sat;Sun;Monday;Tuesday;Wednesday;Thursday;Friday;Saturday;Sunday
	// +kubebuilder:default=Sunday
	TreatAs string `json:"treatAs,omitempty"`
}

// HolidayCalendar is a country, or a part of one as ISO 3166-2 has it.
//
// +kubebuilder:validation:Pattern=`^[A-Z]{2}(-[A-Z]{1,3})?$`
// +kubebuilder:validation:MaxLength=6
type HolidayCalendar string

// DateRange is a local date, or the first and the last of a range.
//
// +kubebuilder:validation:Pattern=`^[0-9]{4}-[0-9]{2}-[0-9]{2}(/[0-9]{4}-[0-9]{2}-[0-9]{2})?$`
// +kubebuilder:validation:MaxLength=21
// +kubebuilder:validation:XValidation:rule="self.split('/').all(d, timestamp(d + 'T00:00:00Z').getFullYear() > 0)",message="give dates that there are, such as 2026-12-30"
// +kubebuilder:validation:XValidation:rule="self.size() == 10 || self.substring(0, 10) < self.substring(11)",message="the last date of a range must be after its first"
type DateRange string

// Event is a one-off stretch of time. It has a headroom throughout (minHeadroom), the growth of a past stretch (growth, with
// minHeadroom as what is kept at least), or a curve.
//
// +kubebuilder:validation:XValidation:rule="self.to > self.from",message="to must be after from"
// +kubebuilder:validation:XValidation:rule="has(self.curve) ? !has(self.minHeadroom) && !has(self.growth) : has(self.minHeadroom) || has(self.growth)",message="give minHeadroom, growth (minHeadroom beside it is the least), or curve alone"
// +kubebuilder:validation:XValidation:rule="!has(self.growth) || self.growth.like + (self.to - self.from) <= self.from",message="growth.like and a stretch as long as the event must be over when the event begins"
// +kubebuilder:validation:XValidation:rule="!has(self.curve) || self.curve.all(p, duration(p.after) < self.to - self.from)",message="every point of the curve must be before the event's end"
type Event struct {
	// Name tells it from the schedule's other events.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// From and To are its beginning and its end.
	From metav1.Time `json:"from"`
	To   metav1.Time `json:"to"`
	// MinHeadroom is pods ("60") or a share of demand ("25%"), kept throughout.
	MinHeadroom Headroom `json:"minHeadroom,omitempty"`
	// Growth raises demand above what is usual as much as in a past stretch.
	Growth *Growth `json:"growth,omitempty"`
	// Curve is headroom in steps: each point's lasts until the next one's time.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=48
	// +kubebuilder:validation:XValidation:rule="self.map(p, duration(p.after)).isSorted() && self.all(p, self.exists_one(q, duration(q.after) == duration(p.after)))",message="points must be in the order of after, each later than the one before"
	// +listType=atomic
	Curve []CurvePoint `json:"curve,omitempty"`
}

// Growth is what a past stretch of time had above its usual demand, replayed over an event. The demand that room is kept for
// is the usual one of the event's time × (1 + factor × (demand then / usual demand then − 1)).
type Growth struct {
	// Like is when the past stretch began; it is as long as the event.
	Like metav1.Time `json:"like"`
	// Factor stretches the growth: 1.5 is half as much again. Default 1.
	// +kubebuilder:default="1"
	// +kubebuilder:validation:XValidation:rule="double(self) > 0.0 && double(self) <= 100.0",message="factor must be above 0 and at most 100"
	Factor Decimal `json:"factor,omitempty"`
}

// CurvePoint is the headroom from a time of an event on.
type CurvePoint struct {
	// After is how long after the event's beginning: 0m, 1h30m.
	After Offset `json:"after"`
	// Headroom is pods ("60") or a share of demand ("25%").
	Headroom Headroom `json:"headroom"`
}

// Offset is a duration that is not negative, such as 0m or 1h30m.
//
// +kubebuilder:validation:Pattern=`^([0-9]{1,6}(s|m|h)){1,3}$`
// +kubebuilder:validation:MaxLength=16
type Offset string

// DiurnalScheduleList is a list of DiurnalSchedules.
//
// +kubebuilder:object:root=true
type DiurnalScheduleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DiurnalSchedule `json:"items"`
}
