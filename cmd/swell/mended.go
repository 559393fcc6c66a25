package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	// evaluating stands between why a rule could not be evaluated and the rule's own words.
	evaluating = " evaluating rule: "
	aDuration  = `give a duration with its unit, such as "60s"`
)

// inWords says what a pattern of the kinds means.
var inWords = map[string]string{
	`^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)(-(Mon|Tue|Wed|Thu|Fri|Sat|Sun))?$`: `give a day or a range of days, such as Sat or Mon-Fri`,
	`^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`:                          `give a time of day with two digits each, such as "08:30"`,
	`^[0-9]{4}-[0-9]{2}-[0-9]{2}(/[0-9]{4}-[0-9]{2}-[0-9]{2})?$`:       `give a date or a range of dates, such as 2026-12-29 or 2026-12-29/2027-01-03`,
	`^([0-9]{1,6}(s|m|h)){1,3}$`:                                       aDuration,
	`^[0-9]+(\.[0-9]+)?%?$`:                                            `give pods such as "20" or a share of demand such as "15%"`,
	`^[0-9]+(\.[0-9]+)?%$`:                                             `give a share such as "50%"`,
	`^[0-9]+(\.[0-9]+)?$`:                                              `give a decimal number, such as "2.5"`,
	`^[A-Z]{2}(-[A-Z]{1,3})?$`:                                         `give a country, or a part of one, such as JP or DE-BY`,
	`^[A-Za-z][A-Za-z0-9_+/-]*$`:                                       `give an IANA name such as Asia/Tokyo`,
}

// mended says in plain words what the schema's and the rules' own words leave out.
func mended(errs field.ErrorList, s *schema.Structural) field.ErrorList {
	for _, e := range errs {
		_, pattern, matched := strings.Cut(strings.TrimSuffix(e.Detail, "'"), "should match '")
		switch {
		case e.Type == field.ErrorTypeTypeInvalid && strings.Contains(e.Detail, "must be of type string"):
			e.Type, e.Detail = field.ErrorTypeInternal, "it must be text in quotes"+textAt(s, e.Field)
		case e.Type == field.ErrorTypeTypeInvalid && strings.Contains(e.Detail, "must be of type integer"):
			e.Type, e.Detail = field.ErrorTypeInternal, "it must be an integer, not in quotes"
		case matched && inWords[pattern] != "":
			e.Type, e.Detail = field.ErrorTypeInternal, fmt.Sprintf("it is %q; %s", fmt.Sprint(e.BadValue), inWords[pattern])
		case strings.Contains(e.Detail, "type conversion error from 'string' to 'google.protobuf.Duration'"):
			e.Detail = "it is no duration: give one with its unit, such as 60s or 1h30m"
		case strings.Contains(e.Detail, evaluating): // the value is told as its type
			why, rule, _ := strings.Cut(e.Detail, evaluating)
			if e.Type, e.Detail = field.ErrorTypeInternal, rule; !strings.Contains(why, "type conversion error") {
				e.Detail = why + ": " + rule
			}
		}
	}
	return errs
}

// textAt says what text a field wants; empty where any will do.
func textAt(s *schema.Structural, at string) string {
	for _, part := range pathPart.FindAllString(at, -1) {
		key := strings.Trim(part, `[]"`)
		switch _, err := strconv.Atoi(key); {
		case err == nil && s.Items != nil:
			s = s.Items
		case s.Properties != nil:
			child := s.Properties[key]
			s = &child
		case s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil:
			s = s.AdditionalProperties.Structural
		default:
			return ""
		}
	}
	if s.ValueValidation != nil && inWords[s.ValueValidation.Pattern] != "" {
		return ": " + inWords[s.ValueValidation.Pattern]
	}
	for _, r := range s.XValidations {
		if strings.Contains(r.Rule, "duration(self)") {
			return ": " + aDuration
		}
	}
	return ""
}

// checkMeta finds names that no object can have.
func checkMeta(obj map[string]any) (errs field.ErrorList) {
	meta, _ := obj["metadata"].(map[string]any)
	if meta == nil || meta["name"] == nil && meta["generateName"] == nil {
		return field.ErrorList{field.Required(field.NewPath("metadata", "name"), "give the object a name")}
	}
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		name, text := meta[key].(string)
		valid := func(string) []string { return nil }
		switch key {
		case "name":
			valid = validation.IsDNS1123Subdomain
		case "namespace":
			valid = validation.IsDNS1123Label
		case "generateName":
		default:
			continue
		}
		what := ""
		if !text {
			what = "it must be text in quotes"
		} else if len(valid(name)) > 0 {
			what = fmt.Sprintf("%q is no name: give small letters, digits and -, such as office-hours, with a letter or digit at both ends", name)
		}
		if what != "" {
			errs = append(errs, &field.Error{Type: field.ErrorTypeInternal, Field: "metadata." + key, Detail: what})
		}
	}
	return errs
}

// daysTwice are the days of a window that two of its entries have.
func daysTwice(days []string, at *field.Path) (errs field.ErrorList) {
	week := []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}
	by := map[string]string{}
	for i, entry := range days {
		first, last, isRange := strings.Cut(entry, "-")
		if !isRange {
			last = first
		}
		a, b := slices.Index(week, first), slices.Index(week, last)
		for d := a; a >= 0 && b >= 0; d = (d + 1) % len(week) {
			if other := by[week[d]]; other != "" {
				errs = append(errs, &field.Error{Type: field.ErrorTypeInternal, Field: at.Index(i).String(),
					Detail: fmt.Sprintf("%s is in %s already; leave it out of one", week[d], other)})
				break
			}
			by[week[d]] = entry
			if d == b {
				break
			}
		}
	}
	return errs
}
