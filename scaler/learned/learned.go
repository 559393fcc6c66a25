// Package learned holds what a scaler learns of instances while it runs, and how a ConfigMap keeps it for the next.
package learned

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"swell/nodegroups/learn"
)

const (
	// ConfigMap is its name, in the namespace of the histories' checkpoints.
	ConfigMap = "swell-scaler-boots"
	// Label is on ConfigMaps of what swell-scaler has learned and is not of one workload.
	Label = "capacity.swell/learned"
	// BootsKey and CapacityKey are gzipped JSON: learn.Boots and learn.Capacity.
	BootsKey    = "boots.json.gz"
	CapacityKey = "capacity.json.gz"
	most        = 16 << 20 // bytes of JSON, far above what is ever written
)

// Read adds a ConfigMap's binary data to what is known. Marks of capacity that are long over at now are left out; now is model
// time.
func Read(data map[string][]byte, now time.Time, boots *learn.Boots, capacity *learn.Capacity) error {
	if err := unpack(data, BootsKey, boots.Merge); err != nil {
		return err
	}
	return unpack(data, CapacityKey, func(raw []byte) error { return capacity.Merge(now, raw) })
}

func unpack(data map[string][]byte, key string, merge func([]byte) error) error {
	if len(data[key]) == 0 {
		return nil
	}
	z, err := gzip.NewReader(bytes.NewReader(data[key]))
	var raw []byte
	if err == nil {
		raw, err = io.ReadAll(io.LimitReader(z, most))
	}
	if err == nil {
		err = merge(raw)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", key, err)
	}
	return nil
}

// Data is a ConfigMap's binary data of JSON.
func Data(boots, capacity []byte) map[string][]byte {
	return map[string][]byte{BootsKey: packed(boots), CapacityKey: packed(capacity)}
}

func packed(raw []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(raw) // a buffer takes all
	_ = z.Close()
	return b.Bytes()
}

// Add is a ConfigMap's binary data with what a scaler has learned since, as Instances.JSON gives it. Boots of both stay, so that a
// scaler that stood still takes nothing away. Of capacity the scaler's word counts alone, as a success takes marks back, but for
// marks that were imported since it read the data; now is model time.
func Add(stored map[string][]byte, now time.Time, boots, capacity []byte, imported bool) (map[string][]byte, error) {
	all, err := learn.NewBoots(learn.BootOptions{})
	if err != nil {
		return nil, err
	}
	marks := learn.NewCapacity()
	if err = Read(stored, now, all, marks); err == nil {
		err = all.Merge(boots)
	}
	if err == nil && imported {
		if err = marks.Merge(now, capacity); err == nil {
			capacity, err = json.Marshal(marks)
		}
	}
	if err != nil {
		return nil, err
	}
	merged, err := json.Marshal(all)
	return Data(merged, capacity), err
}

// Merge is what either of two ConfigMaps has, and whether that is more than the first has. What the first knows of an instance
// stays; of two marks of the same capacity that which ends later.
func Merge(here, other map[string][]byte, now time.Time) (merged map[string][]byte, news bool, err error) {
	boots, err := learn.NewBoots(learn.BootOptions{})
	if err != nil {
		return nil, false, err
	}
	capacity := learn.NewCapacity()
	var was, is [2][]byte
	for _, step := range []struct {
		of   string
		data map[string][]byte
		then *[2][]byte
	}{{"what was learned here", here, &was}, {"what was learned elsewhere", other, &is}} {
		if err := Read(step.data, now, boots, capacity); err != nil {
			return nil, false, fmt.Errorf("merging %s: %w", step.of, err)
		}
		for i, x := range []json.Marshaler{boots, capacity} {
			if step.then[i], err = x.MarshalJSON(); err != nil {
				return nil, false, fmt.Errorf("merging %s: %w", step.of, err)
			}
		}
	}
	return Data(is[0], is[1]), !bytes.Equal(was[0], is[0]) || !bytes.Equal(was[1], is[1]), nil
}
