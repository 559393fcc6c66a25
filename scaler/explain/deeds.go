package explain

import (
	"fmt"
	"strings"

	"swell/scaler/ledger"
)

const ledgerSource = "ledger"

// event is a deed in words; of says of what, where that is not the object of the story.
func (b *Book) event(d *deed, of string) Event {
	e := Event{At: d.Model, What: what(d.Entry), Of: of, Rejected: d.Rejected, Activities: d.Activities, Source: ledgerSource, Decision: d.Phase == ledger.Intent, Outcome: b.outcome(d)}
	if d.outcome != nil {
		e.Activities = append(e.Activities, d.outcome.Activities...)
	}
	if d.Hourly > 0 {
		e.Numbers = append(e.Numbers, number("price of one", d.Hourly, "an hour"))
	}
	switch d.Action {
	case "kept", "suppressed", "unplaced", "would-launch", "would-return":
		e.Decision = true
	}
	return e
}

// what an entry says, without its outcome.
func what(e *ledger.Entry) string {
	text := ""
	switch e.Action {
	case "launch":
		text = "launch of " + counted(e.Count, "instance")
		if e.Phase == ledger.Note {
			text = counted(e.Count, "instance") + " noted"
		}
	case "would-launch":
		text = "would launch " + counted(e.Count, "instance")
	case "would-return":
		text = "would be returned"
	case "node-came":
		text = "a node came that swell did not ask for"
	case "create-balloons":
		text = counted(e.Count, "balloon") + " to make"
	case "delete-balloon":
		text = "balloon deleted"
	case "pop":
		text = "balloon popped"
	case "drain":
		text = "drain"
		if e.Phase == ledger.Note {
			text = "draining"
		}
	case "terminate":
		text = "return"
	case "complete-lifecycle":
		text = "lifecycle action ended"
	case "unplaced":
		text = "no node and no group takes it"
	case "suppressed":
		text = "held back: " + e.Object
	default:
		text = e.Action
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// listed names the first of many.
func listed(all []string, most int) string {
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
}

// about says whether a text names something: as a word, not as a part of a longer name.
func about(text, name string) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], name)
		if i < 0 {
			return false
		}
		i += at
		end := i + len(name)
		if (i == 0 || !partOfName(text[i-1])) && (end == len(text) || !partOfName(text[end])) {
			return true
		}
		at = i + 1
	}
}

func partOfName(c byte) bool {
	return c == '-' || c == '_' || c == '/' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
