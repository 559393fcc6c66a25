package aws

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// scheduled is a maintenance event that EC2 has planned for an instance.
type scheduled struct {
	ID        string    `json:"id"`
	Code      string    `json:"code"` // instance-retirement, instance-stop, instance-reboot, system-reboot, system-maintenance
	NotBefore time.Time `json:"not_before"`
	Done      bool      `json:"done,omitempty"`
}

// healthCodes are the event types that AWS Health tells of maintenance by.
var healthCodes = map[string]string{
	"instance-retirement": "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED",
	"instance-stop":       "AWS_EC2_INSTANCE_STOP_SCHEDULED",
	"instance-reboot":     "AWS_EC2_INSTANCE_REBOOT_MAINTENANCE_SCHEDULED",
	"system-reboot":       "AWS_EC2_SYSTEM_REBOOT_MAINTENANCE_SCHEDULED",
	"system-maintenance":  "AWS_EC2_INSTANCE_NETWORK_MAINTENANCE_SCHEDULED",
}

// schedule plans a maintenance event and tells of it as AWS Health does. The lock is held.
func (e *Emulator) schedule(c *change, i *instance, code string, at time.Time) {
	event := scheduled{ID: fmt.Sprintf("instance-event-0%016x", e.hash("event "+i.ID, uint64(len(i.Scheduled)))), Code: code, NotBefore: at}
	c.do(record{Op: opScheduled, ID: i.ID, Scheduled: &event})
	arn := fmt.Sprintf("arn:aws:ec2:%s:%s:instance/%s", e.fleet.Region, account, i.ID)
	name := healthCodes[code]
	e.publish(c, "AWS Health Event", "aws.health", []string{arn}, map[string]any{
		"eventArn":          fmt.Sprintf("arn:aws:health:%s::event/EC2/%s/%s_%s", e.fleet.Region, name, name, event.ID),
		"service":           "EC2",
		"eventTypeCode":     name,
		"eventTypeCategory": "scheduledChange",
		"eventScopeCode":    "ACCOUNT_SPECIFIC",
		"communicationId":   event.ID,
		"startTime":         at.UTC().Format(time.RFC1123),
		"endTime":           at.Add(e.fleet.shorten(2 * time.Hour)).UTC().Format(time.RFC1123),
		"lastUpdatedTime":   c.t.At.UTC().Format(time.RFC1123),
		"statusCode":        "upcoming",
		"eventRegion":       e.fleet.Region,
		"eventDescription":  []map[string]string{{"language": "en_US", "latestDescription": "EC2 has detected degradation of the hardware that hosts this instance."}},
		"affectedEntities":  []map[string]string{{"entityValue": i.ID, "lastUpdatedTime": c.t.At.UTC().Format(time.RFC1123), "status": "IMPAIRED"}},
		"affectedAccount":   account,
		"page":              "1",
		"totalPages":        "1",
	})
}

// maintain ends instances whose retirement or stop is due. The lock is held.
func (e *Emulator) maintain(c *change, i *instance, due func(time.Time) bool) {
	for _, event := range i.Scheduled {
		if event.Done || !i.running() || !due(event.NotBefore) {
			continue
		}
		event.Done = true
		c.do(record{Op: opScheduled, ID: i.ID, Scheduled: &event})
		if event.Code == "instance-retirement" || event.Code == "instance-stop" {
			e.end(c, i, event.Code)
		}
	}
}

type statusesXML struct {
	Statuses  []instanceStatusXML `xml:"instanceStatusSet>item"`
	NextToken string              `xml:"nextToken,omitempty"`
}

type instanceStatusXML struct {
	ID        string              `xml:"instanceId"`
	Zone      string              `xml:"availabilityZone"`
	Events    []scheduledEventXML `xml:"eventsSet>item"`
	StateCode int                 `xml:"instanceState>code"`
	State     string              `xml:"instanceState>name"`
	System    string              `xml:"systemStatus>status"`
	Instance  string              `xml:"instanceStatus>status"`
}

type scheduledEventXML struct {
	ID          string `xml:"instanceEventId"`
	Code        string `xml:"code"`
	Description string `xml:"description"`
	NotBefore   string `xml:"notBefore"`
	NotAfter    string `xml:"notAfter,omitempty"`
}

func (e *Emulator) describeInstanceStatus(r *request) (any, *apiError) {
	ids, size, bad := r.idsAndSize("InstanceId.", 1000)
	if bad != nil {
		return nil, bad
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if bad := e.knownInstances(ids, r.now); bad != nil {
		return nil, bad
	}
	all, filters := r.form.Get("IncludeAllInstances") == "true", r.filters("Filter.", ".Value.")
	var found []instanceStatusXML
	for _, id := range e.state.order {
		i := e.state.instances[id]
		if !e.visible(i, r.now) || len(ids) > 0 && !slices.Contains(ids, id) || !all && i.State != stateRunning {
			continue
		}
		s := e.statusXML(i)
		ok, bad := s.meets(filters)
		if bad != nil {
			return nil, bad
		}
		if ok {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b instanceStatusXML) int { return strings.Compare(a.ID, b.ID) })
	found, next, bad := page(found, func(s instanceStatusXML) string { return s.ID }, "DescribeInstanceStatus", r.form.Get("NextToken"), size)
	return statusesXML{Statuses: found, NextToken: next}, bad
}

func (e *Emulator) statusXML(i *instance) instanceStatusXML {
	s := instanceStatusXML{ID: i.ID, Zone: i.Zone, StateCode: stateCodes[i.State], State: i.State, System: "not-applicable", Instance: "not-applicable"}
	if i.State == stateRunning {
		s.System, s.Instance = "ok", "ok"
		if !i.Joined && !i.Warm {
			s.System, s.Instance = "initializing", "initializing"
		}
	}
	for _, event := range i.Scheduled {
		description := "The instance is running on degraded hardware"
		if event.Done {
			description = "[Completed] " + description
		}
		s.Events = append(s.Events, scheduledEventXML{ID: event.ID, Code: event.Code, Description: description, NotBefore: timestamp(event.NotBefore)})
	}
	return s
}

func (s instanceStatusXML) meets(filters []filter) (bool, *apiError) {
	for _, f := range filters {
		var values []string
		switch f.Name {
		case "availability-zone":
			values = []string{s.Zone}
		case "instance-state-name":
			values = []string{s.State}
		case "event.code":
			for _, e := range s.Events {
				values = append(values, e.Code)
			}
		case "instance-status.status":
			values = []string{s.Instance}
		case "system-status.status":
			values = []string{s.System}
		default:
			return false, refuse(http.StatusBadRequest, "InvalidParameterValue", "The filter '%s' is invalid", f.Name)
		}
		if !slices.ContainsFunc(values, func(v string) bool { return slices.Contains(f.Values, v) }) {
			return false, nil
		}
	}
	return true, nil
}

// knownInstances refuses ids that are malformed or of no instance that EC2 still describes. The lock is held.
func (e *Emulator) knownInstances(ids []string, now time.Time) *apiError {
	for _, id := range ids {
		if !instanceIDPattern.MatchString(id) {
			return refuse(http.StatusBadRequest, "InvalidInstanceID.Malformed", "Invalid id: \"%s\"", id)
		}
		if i := e.state.instances[id]; i == nil || !e.visible(i, now) {
			return refuse(http.StatusBadRequest, "InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
		}
	}
	return nil
}

// terminateInstances ends instances without their group's knowledge: it finds them gone and replaces them.
func (e *Emulator) terminateInstances(r *request) (any, *apiError) {
	ids := r.list("InstanceId.")
	r.call.Count, r.call.Instances = len(ids), append([]string{}, ids...)
	if len(ids) == 0 {
		return nil, refuse(http.StatusBadRequest, "MissingParameter", "The request must contain the parameter InstanceId")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if bad := e.knownInstances(ids, r.now); bad != nil {
		return nil, bad
	}
	type stateXML struct {
		ID           string `xml:"instanceId"`
		Code         int    `xml:"currentState>code"`
		Name         string `xml:"currentState>name"`
		PreviousCode int    `xml:"previousState>code"`
		Previous     string `xml:"previousState>name"`
	}
	var out struct {
		Instances []stateXML `xml:"instancesSet>item"`
	}
	c := e.change(r.now)
	for _, id := range ids {
		i := e.state.instances[id]
		was := i.State
		if i.running() || i.State == stateStopped {
			e.end(c, i, "ec2-terminate")
		}
		out.Instances = append(out.Instances, stateXML{id, stateCodes[i.State], i.State, stateCodes[was], was})
	}
	c.commit()
	return out, nil
}
