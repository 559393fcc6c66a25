package notify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// State of what a line tells.
type State int

const (
	// Appeared is a problem that was not told before, Still one that goes on, Recovered one that is gone.
	Appeared State = iota
	Still
	Recovered
	// Done is something that was decided or done.
	Done
)

// Line is one fact of a message.
type Line struct {
	State State
	Fact  Fact
	// Since the problem is there, or the first of Count things was done.
	Since time.Time
	Count int
}

// Message is what is told at once.
type Message struct {
	At    time.Time
	Lines []Line
	// More facts were too many to be kept.
	More int
	// Dropped messages could not be delivered before this one.
	Dropped int
}

// sort puts what is worst first.
func (m *Message) sort() {
	slices.SortFunc(m.Lines, func(a, b Line) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), strings.Compare(a.Fact.Object, b.Fact.Object), strings.Compare(a.Fact.Key, b.Fact.Key))
	})
}

func (l Line) rank() int {
	if l.State == Recovered {
		return int(Critical) + 1
	}
	if l.Fact.Severity == Info {
		return int(Critical) + 2
	}
	return int(Critical - l.Fact.Severity)
}

// Summary is the message in a few words.
func (m Message) Summary() string {
	counts := map[string]int{}
	for _, l := range m.Lines {
		switch {
		case l.State == Recovered:
			counts["recovered"]++
		case l.Fact.Severity == Info:
			counts["decided"] += l.Count
		case l.Fact.Severity == Critical:
			counts["critical"]++
		default:
			counts["wrong"]++
		}
	}
	var words []string
	for _, kind := range []string{"critical", "wrong", "recovered", "decided"} {
		if n := counts[kind]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, kind))
		}
	}
	return strings.Join(words, ", ")
}

// Slack's limits, in characters: https://docs.slack.dev/reference/block-kit/blocks says 3000 for a section's text, 150 for a
// header's, and 50 blocks a message.
const (
	mostSection = 3000
	mostHeader  = 150
	mostBlocks  = 50
	// mostObject and mostLine keep a line within a section, even where each of their characters is written as five.
	mostObject = 150
	mostLine   = 400
	// mostText is of what notifications on phones show of a message.
	mostText = 1000
)

type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type slackBlock struct {
	Type     string      `json:"type"`
	Text     *slackText  `json:"text,omitempty"`
	Elements []slackText `json:"elements,omitempty"`
}

// Slack is the message as Slack's incoming webhooks take it. The cluster's name and the page's address may be empty.
func (m Message) Slack(cluster, page string) ([]byte, error) {
	title := "swell"
	if cluster != "" {
		title += " on " + cluster
	}
	title += ": " + m.Summary()
	body := struct {
		Text   string       `json:"text"`
		Blocks []slackBlock `json:"blocks"`
	}{Text: m.plain(title)}
	body.Blocks = append(body.Blocks, slackBlock{Type: "header", Text: &slackText{"plain_text", cut(title, mostHeader)}})
	sections, left := m.sections(mostBlocks - 2)
	for _, s := range sections {
		body.Blocks = append(body.Blocks, slackBlock{Type: "section", Text: &slackText{"mrkdwn", s}})
	}
	if foot := m.foot(page, left); foot != "" {
		body.Blocks = append(body.Blocks, slackBlock{Type: "context", Elements: []slackText{{"mrkdwn", foot}}})
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("writing a message for Slack: %w", err)
	}
	return raw, nil
}

// sections are the lines in at most so many texts; left is how many lines had no room.
func (m Message) sections(most int) (texts []string, left int) {
	text := ""
	for i, l := range m.Lines {
		line := l.mrkdwn()
		if text != "" && length(text)+1+length(line) > mostSection {
			if texts = append(texts, text); len(texts) == most {
				return texts, len(m.Lines) - i
			}
			text = ""
		}
		if text != "" {
			text += "\n"
		}
		text += line
	}
	return append(texts, text), 0
}

// marks are what lines begin with. A reader without pictures has the words of the line.
var marks = map[State]string{Appeared: ":warning:", Still: ":warning: still:", Recovered: ":white_check_mark: recovered:", Done: ":small_blue_diamond:"}

func (l Line) mark() string {
	if l.Fact.Severity == Critical && l.State != Recovered {
		return strings.Replace(strings.Replace(marks[l.State], ":warning:", ":rotating_light:", 1), ":small_blue_diamond:", ":rotating_light:", 1)
	}
	if l.Fact.Severity == Warning && l.State == Done {
		return ":warning:"
	}
	return marks[l.State]
}

func (l Line) mrkdwn() string {
	text := l.mark() + " *" + Escape(cut(strings.ReplaceAll(l.Fact.Object, "*", ""), mostObject)) + "* " + Escape(cut(l.words(), mostLine))
	if l.State == Appeared || l.State == Still {
		text += " _since " + l.Since.UTC().Format("15:04") + " UTC_"
	}
	return text
}

func (l Line) words() string {
	text := strings.Join(strings.Fields(l.Fact.What), " ")
	if l.Count > 1 {
		text = fmt.Sprintf("%s (%d times)", text, l.Count)
	}
	if l.Fact.Mend != "" && l.State != Recovered {
		text += "; " + strings.Join(strings.Fields(l.Fact.Mend), " ")
	}
	return text
}

// plain is what is shown where blocks are not.
func (m Message) plain(title string) string {
	text := title
	for _, l := range m.Lines {
		text += "\n" + l.Fact.Object + ": " + l.words()
	}
	return Escape(cut(text, mostText))
}

func (m Message) foot(page string, left int) string {
	var words []string
	if more := left + m.More; more > 0 {
		words = append(words, fmt.Sprintf("%d more are not shown", more))
	}
	if m.Dropped > 0 {
		words = append(words, fmt.Sprintf("%d earlier messages could not be delivered", m.Dropped))
	}
	if page != "" {
		words = append(words, "<"+strings.NewReplacer("&", "&amp;", "<", "%3C", ">", "%3E", "|", "%7C").Replace(page)+"|Live page>")
	}
	return strings.Join(words, " · ")
}

// Escape replaces the three characters that Slack reads as its own.
func Escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

func length(s string) int { return utf8.RuneCountInString(s) }

// cut shortens a text to so many characters.
func cut(s string, most int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if length(s) <= most {
		return s
	}
	return strings.TrimRight(string([]rune(s)[:most-1]), " ") + "…"
}
