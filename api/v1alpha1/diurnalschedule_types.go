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
	// +kubebuilder:validation:MinLength=1
	TimeZone string `json:"timeZone"`
	// +listType=map
	// +listMapKey=name
	Windows  []Window  `json:"windows,omitempty"`
	Holidays *Holidays `json:"holidays,omitempty"`
	// +listType=map
	// +listMapKey=name
	Events []Event `json:"events,omitempty"`
}

// Window is a stretch of local time on some days of the week.
type Window struct {
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// Days are names or ranges: Mon, Sat, Mon-Fri.
	// +kubebuilder:validation:MinItems=1
	// +listType=set
	Days []DayRange `json:"days"`
	// From and To are local times; a To at or before From is on the next day.
	From ClockTime `json:"from"`
	To   ClockTime `json:"to"`
	// MinHeadroom is pods ("20") or a share of demand ("15%").
	MinHeadroom Headroom `json:"minHeadroom"`
}

// DayRange is a day or a range of days.
//
// +kubebuilder:validation:Pattern=`^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)(-(Mon|Tue|Wed|Thu|Fri|Sat|Sun))?$`
type DayRange string

// ClockTime is a local time of day, 00:00 to 24:00.
//
// +kubebuilder:validation:Pattern=`^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`
type ClockTime string

// Headroom is a number of pods or a percentage of demand.
//
// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+)?%?$`
// +kubebuilder:validation:MaxLength=16
type Headroom string

// Holidays are days that count as another day of the week.
type Holidays struct {
	// Calendar is a two-letter country code.
	// +kubebuilder:validation:Pattern=`^[A-Z]{2}$`
	Calendar string `json:"calendar"`
	// +kubebuilder:validation:Enum=Mon;Tue;Wed;Thu;Fri;Sat;Sun;Monday;Tuesday;Wednesday;Thursday;Friday;Saturday;Sunday
	// +kubebuilder:default=Sunday
	TreatAs string `json:"treatAs,omitempty"`
}

// Event is a one-off stretch of time.
//
// +kubebuilder:validation:XValidation:rule="self.to > self.from",message="to must be after from"
type Event struct {
	// +kubebuilder:validation:MinLength=1
	Name        string      `json:"name"`
	From        metav1.Time `json:"from"`
	To          metav1.Time `json:"to"`
	MinHeadroom Headroom    `json:"minHeadroom"`
}

// DiurnalScheduleList is a list of DiurnalSchedules.
//
// +kubebuilder:object:root=true
type DiurnalScheduleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DiurnalSchedule `json:"items"`
}
