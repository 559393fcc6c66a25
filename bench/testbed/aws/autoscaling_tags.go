package aws

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

func (e *Emulator) createTags(r *request) (any, *apiError) {
	return e.setTags(r, func(tags map[string]string, key, value string) { tags[key] = value })
}

func (e *Emulator) deleteTags(r *request) (any, *apiError) {
	return e.setTags(r, func(tags map[string]string, key, _ string) { delete(tags, key) })
}

// setTags changes tags of groups; all are looked at before the first is changed.
func (e *Emulator) setTags(r *request, set func(tags map[string]string, key, value string)) (any, *apiError) {
	e.mu.Lock()
	defer e.mu.Unlock()
	changed := map[string]map[string]string{}
	for n := 1; ; n++ {
		at := "Tags.member." + strconv.Itoa(n) + "."
		key, ok := r.form[at+"Key"]
		if !ok {
			break
		}
		if kind := r.form.Get(at + "ResourceType"); kind != "auto-scaling-group" {
			return nil, invalid("Invalid resource type: '%s'. Valid resource types are: [auto-scaling-group]", kind)
		}
		if len(key[0]) == 0 || len(key[0]) > 128 || strings.HasPrefix(key[0], "aws:") {
			return nil, invalid("'%s' is not a valid tag key.", key[0])
		}
		g, bad := e.find(r.form.Get(at + "ResourceId"))
		if bad != nil {
			return nil, bad
		}
		r.call.Group = g.Name
		if changed[g.Name] == nil {
			if changed[g.Name] = maps.Clone(g.Tags); changed[g.Name] == nil {
				changed[g.Name] = map[string]string{}
			}
		}
		set(changed[g.Name], key[0], r.form.Get(at+"Value"))
	}
	if len(changed) == 0 {
		return nil, invalid("1 validation error detected: Value null at 'tags' failed to satisfy constraint: Member must not be null")
	}
	c := e.change(r.now)
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		c.do(record{Op: opTags, Group: name, Tags: changed[name]})
	}
	c.commit()
	return nil, nil
}
