// Package handover moves what a cluster has learned to the one that follows it.
package handover

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"swell/scaler/history"
)

const (
	// Kind and Version of a file. Another version is refused: what it means is not known.
	Kind    = "swell-handover"
	Version = 1
)

// File is what one cluster hands to another.
type File struct {
	Kind    string `json:"kind"`
	Version int    `json:"version"`
	// At is when it was written, machine time.
	At      time.Time `json:"at"`
	Cluster string    `json:"cluster,omitempty"`
	// TimeZone and Holidays that the weekly profiles were learned in; empty is not told.
	TimeZone string `json:"timeZone,omitempty"`
	Holidays string `json:"holidays,omitempty"`
	// Balloons with their histories, by namespace and name.
	Balloons []Balloon `json:"balloons"`
	// Learned are the ConfigMaps of what is not of one workload, such as boot times and capacity that could not be had.
	Learned []Learned `json:"learned"`
	// Sum is the SHA-256 of all the rest.
	Sum string `json:"sum"`
}

// Balloon is one workload's.
type Balloon struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Share of the old cluster when this was written; empty where the Balloon was gone.
	Share string `json:"share,omitempty"`
	// Demand is its history as a checkpoint has it.
	Demand     []byte `json:"demand"`
	Backfilled string `json:"backfilled,omitempty"`
}

// Learned is a ConfigMap by its name.
type Learned struct {
	Name       string            `json:"name"`
	Data       map[string]string `json:"data,omitempty"`
	BinaryData map[string][]byte `json:"binaryData,omitempty"`
}

// Key is namespace/name.
func (b Balloon) Key() string { return b.Namespace + "/" + b.Name }

// Seal sorts a file and sets its sum.
func (f *File) Seal() error {
	f.Kind, f.Version = Kind, Version
	slices.SortFunc(f.Balloons, func(a, b Balloon) int { return strings.Compare(a.Key(), b.Key()) })
	slices.SortFunc(f.Learned, func(a, b Learned) int { return strings.Compare(a.Name, b.Name) })
	sum, err := f.sum()
	f.Sum = sum
	return err
}

func (f File) sum() (string, error) {
	f.Sum = ""
	raw, err := json.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("writing a hand-over: %w", err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// Read reads and checks a file's content.
func Read(raw []byte) (File, error) {
	var head struct {
		Kind    string `json:"kind"`
		Version int    `json:"version"`
	}
	err := json.Unmarshal(raw, &head)
	switch {
	case err != nil:
		return File{}, fmt.Errorf("reading a hand-over: %w; give a file that swell handover export wrote, whole", err)
	case head.Kind != Kind:
		return File{}, fmt.Errorf("reading a hand-over: its kind is %q, not %s; give a file that swell handover export wrote", head.Kind, Kind)
	case head.Version != Version:
		return File{}, fmt.Errorf("reading a hand-over: its version is %d, and this swell reads %d; export and import with the same swell", head.Version, Version)
	}
	var f File
	if err := json.Unmarshal(raw, &f); err != nil {
		return File{}, fmt.Errorf("reading a hand-over: %w; export it again", err)
	}
	sum, err := f.sum()
	if err != nil {
		return File{}, err
	}
	if sum != f.Sum {
		return File{}, errors.New("reading a hand-over: its content is not what its sum is of: it was cut or changed; export it again")
	}
	for _, b := range f.Balloons {
		if _, err := history.Decode(b.Demand); err != nil {
			return File{}, fmt.Errorf("reading a hand-over: the history of Balloon %s: %w; export it again", b.Key(), err)
		}
	}
	return f, nil
}

// Fits is an error where a cluster's profiles would be of another time zone or calendar than the file's.
func (f File) Fits(timeZone, holidays string) error {
	if f.TimeZone != timeZone {
		return fmt.Errorf("the old cluster's history.timeZone is %s and the new one's is %s: its mornings would be learned at other hours; give both the same", f.TimeZone, timeZone)
	}
	if f.Holidays != holidays {
		return fmt.Errorf("the old cluster's history.holidays is %q and the new one's is %q; give both the same", f.Holidays, holidays)
	}
	return nil
}
