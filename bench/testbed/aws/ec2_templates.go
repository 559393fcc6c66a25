package aws

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// template is a launch template with its versions.
type template struct {
	Name     string            `json:"name"`
	Default  int               `json:"default"`
	Versions []templateVersion `json:"versions"`
}

type templateVersion struct {
	Number int       `json:"number"`
	Image  string    `json:"image"`
	Type   string    `json:"type,omitempty"`
	Market string    `json:"market,omitempty"`
	At     time.Time `json:"at,omitzero"` // zero is the emulator's start
}

func firstTemplate(g Group) *template {
	v := templateVersion{Number: 1, Image: g.Image}
	if len(g.InstanceTypes) == 1 && g.Market != mixed {
		v.Type, v.Market = g.InstanceTypes[0], spotOnly(g.Market)
	}
	return &template{Name: g.LaunchTemplate, Default: 1, Versions: []templateVersion{v}}
}

// resolve a version: a number, $Default, $Latest, or what is unknown as the default.
func (t *template) resolve(version string) templateVersion {
	if v, ok := t.find(version); ok {
		return v
	}
	v, _ := t.find("$Default")
	return v
}

func (t *template) find(version string) (templateVersion, bool) {
	number, err := strconv.Atoi(version)
	switch version {
	case "$Latest":
		return t.Versions[len(t.Versions)-1], true
	case "$Default":
		number, err = t.Default, nil
	}
	if err != nil {
		return templateVersion{}, false
	}
	n := slices.IndexFunc(t.Versions, func(v templateVersion) bool { return v.Number == number })
	if n < 0 {
		return templateVersion{}, false
	}
	return t.Versions[n], true
}

// with adds a version made from the source.
func (t template) with(source templateVersion, image string, at time.Time) template {
	v := source
	v.Number, v.At = t.Versions[len(t.Versions)-1].Number+1, at
	if image != "" {
		v.Image = image
	}
	t.Versions = append(slices.Clone(t.Versions), v)
	return t
}

// template finds the launch template of a call. The lock is held.
func (e *Emulator) template(r *request) (*template, *apiError) {
	id, name := r.form.Get("LaunchTemplateId"), r.form.Get("LaunchTemplateName")
	switch {
	case id == "" && name == "":
		return nil, refuse(http.StatusBadRequest, "MissingParameter", "The request must contain the parameter LaunchTemplateId or LaunchTemplateName")
	case id != "" && name != "":
		return nil, refuse(http.StatusBadRequest, "InvalidParameterCombination", "You can specify either LaunchTemplateId or LaunchTemplateName, but not both.")
	}
	for _, t := range e.state.templates {
		if t.Name == name || id != "" && e.templateID(t.Name) == id {
			return t, nil
		}
	}
	if name != "" {
		return nil, refuse(http.StatusBadRequest, "InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", name)
	}
	return nil, refuse(http.StatusBadRequest, "InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
}

func (e *Emulator) describeTemplateVersions(r *request) (any, *apiError) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t, bad := e.template(r)
	if bad != nil {
		return nil, bad
	}
	wanted := r.list("LaunchTemplateVersion.")
	resolve := r.form.Get("ResolveAlias") == "true"
	out := templateVersionsXML{}
	if len(wanted) == 0 {
		for _, v := range t.Versions {
			out.Versions = append(out.Versions, e.templateVersionXML(t, v))
		}
	}
	for _, w := range wanted {
		v, ok := t.find(w)
		if !ok {
			return nil, refuse(http.StatusBadRequest, "InvalidLaunchTemplateId.VersionNotFound", "Could not find launch template version %s", w)
		}
		out.Versions = append(out.Versions, e.templateVersionXML(t, v))
	}
	for i := range out.Versions {
		image := &out.Versions[i].Image
		if !resolve || e.fleet.imageOf(*image) == *image {
			continue
		}
		if f := e.faultOfCall("ssm", "GetParameters", r.now); f != nil {
			return nil, refuse(http.StatusForbidden, f.code("UnauthorizedOperation"), "%s", f.message("You are not authorized to perform this operation."))
		}
		*image = e.fleet.imageOf(*image)
	}
	return out, nil
}

func (e *Emulator) templateVersionXML(t *template, v templateVersion) templateVersionXML {
	at := v.At
	if at.IsZero() {
		at = e.started
	}
	return templateVersionXML{ID: e.templateID(t.Name), Name: t.Name, Version: v.Number, Default: v.Number == t.Default, Created: timestamp(at), Image: v.Image, Type: v.Type, Market: v.Market}
}

type templateXMLFull struct {
	ID      string `xml:"launchTemplateId"`
	Name    string `xml:"launchTemplateName"`
	Default int    `xml:"defaultVersionNumber"`
	Latest  int    `xml:"latestVersionNumber"`
}

func (e *Emulator) createTemplateVersion(r *request) (any, *apiError) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t, bad := e.template(r)
	if bad != nil {
		return nil, bad
	}
	source := templateVersion{}
	if from := r.form.Get("SourceVersion"); from != "" {
		v, ok := t.find(from)
		if !ok {
			return nil, refuse(http.StatusBadRequest, "InvalidLaunchTemplateId.VersionNotFound", "Could not find launch template version %s", from)
		}
		source = v
	}
	if kind := r.form.Get("LaunchTemplateData.InstanceType"); kind != "" {
		source.Type = kind
	}
	next := t.with(source, r.form.Get("LaunchTemplateData.ImageId"), r.now)
	c := e.change(r.now)
	c.do(record{Op: opTemplate, Template: &next})
	c.commit()
	return struct {
		Version templateVersionXML `xml:"launchTemplateVersion"`
	}{e.templateVersionXML(&next, next.Versions[len(next.Versions)-1])}, nil
}

func (e *Emulator) modifyTemplate(r *request) (any, *apiError) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t, bad := e.template(r)
	if bad != nil {
		return nil, bad
	}
	v, ok := t.find(r.form.Get("SetDefaultVersion"))
	if !ok {
		return nil, refuse(http.StatusBadRequest, "InvalidLaunchTemplateId.VersionNotFound", "Could not find launch template version %s", r.form.Get("SetDefaultVersion"))
	}
	next := *t
	next.Default = v.Number
	c := e.change(r.now)
	c.do(record{Op: opTemplate, Template: &next})
	c.commit()
	return struct {
		Template templateXMLFull `xml:"launchTemplate"`
	}{templateXMLFull{ID: e.templateID(t.Name), Name: t.Name, Default: next.Default, Latest: next.Versions[len(next.Versions)-1].Number}}, nil
}
