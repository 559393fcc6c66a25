package history

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// A checkpoint is magic, a version, what follows compressed with DEFLATE, and the CRC-32C of all that in four bytes,
// little-endian. Version 1 holds the minutes, the coarse rows, and the shares. Rows are their first number and their count as
// varints, then one token for each known row or each run of unknown ones: the zigzag difference to the known row before, plus
// one; or a zero, the class, and how many. A row takes at most three bytes, all of a record less than 64 KiB on any load.
const (
	magic         = "SWH"
	formatVersion = 1
	// mostBytes is what a checkpoint may take, before and after compression.
	mostBytes = 64 << 10
)

var checksums = crc32.MakeTable(crc32.Castagnoli)

// Encode writes a record.
func Encode(r *Record) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(magic)
	out.WriteByte(formatVersion)
	z, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("encoding a history: %w", err)
	}
	body := appendRows(appendRows(nil, &r.minutes), &r.coarse)
	body = binary.AppendUvarint(body, uint64(len(r.shares)))
	for _, s := range r.shares {
		body = binary.AppendVarint(body, s.from)
		body = binary.LittleEndian.AppendUint64(body, math.Float64bits(s.share))
	}
	if _, err = z.Write(body); err == nil {
		err = z.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encoding a history: %w", err)
	}
	return binary.LittleEndian.AppendUint32(out.Bytes(), crc32.Checksum(out.Bytes(), checksums)), nil
}

func appendRows(b []byte, r *rows) []byte {
	b = binary.AppendVarint(b, r.first)
	b = binary.AppendUvarint(b, uint64(len(r.codes)))
	last := code(0)
	for i := 0; i < len(r.codes); {
		c := r.codes[i]
		if c.known() {
			b = binary.AppendUvarint(b, zigzag(int64(c)-int64(last))+1)
			last = c
			i++
			continue
		}
		n := i
		for n < len(r.codes) && r.codes[n] == c {
			n++
		}
		b = append(b, 0, byte(c))
		b = binary.AppendUvarint(b, uint64(n-i))
		i = n
	}
	return b
}

func zigzag(v int64) uint64 { return uint64(v<<1) ^ uint64(v>>63) }

func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// Decode reads what Encode wrote. Its errors say what is wrong with the bytes.
func Decode(raw []byte) (*Record, error) {
	if len(raw) < len(magic)+1+4 || string(raw[:len(magic)]) != magic {
		return nil, errors.New("these bytes are no history of swell's")
	}
	if v := raw[len(magic)]; v != formatVersion {
		return nil, fmt.Errorf("format %d is not known to this version of swell, which writes %d", v, formatVersion)
	}
	end := len(raw) - 4
	if crc32.Checksum(raw[:end], checksums) != binary.LittleEndian.Uint32(raw[end:]) {
		return nil, errors.New("the checksum is wrong: the bytes were changed or cut")
	}
	body, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(raw[len(magic)+1:end])), 2*mostBytes))
	if err != nil {
		return nil, fmt.Errorf("decompressing: %w", err)
	}
	d := decoder{body}
	r := &Record{}
	if err := d.rows(&r.minutes, keepMinuteRows); err != nil {
		return nil, fmt.Errorf("the minutes: %w", err)
	}
	if err := d.rows(&r.coarse, keepCoarseRows); err != nil {
		return nil, fmt.Errorf("the coarse rows: %w", err)
	}
	if err := d.shares(r); err != nil {
		return nil, fmt.Errorf("the shares: %w", err)
	}
	return r, nil
}

type decoder struct{ left []byte }

var errShort = errors.New("the bytes end too early")

func (d *decoder) uvarint() (uint64, error) {
	v, n := binary.Uvarint(d.left)
	if n <= 0 {
		return 0, errShort
	}
	d.left = d.left[n:]
	return v, nil
}

func (d *decoder) rows(r *rows, keep int) error {
	first, n := binary.Varint(d.left)
	if n <= 0 {
		return errShort
	}
	d.left = d.left[n:]
	r.first = first
	count, err := d.uvarint()
	if err != nil {
		return err
	}
	if count > uint64(keep) {
		return fmt.Errorf("%d rows are more than the %d that are kept", count, keep)
	}
	r.codes = make([]code, 0, count)
	last := int64(0)
	for uint64(len(r.codes)) < count {
		token, err := d.uvarint()
		if err != nil {
			return err
		}
		if token > 0 {
			last += unzigzag(token - 1)
			if last < int64(codeZero) || last > int64(codeMost) {
				return fmt.Errorf("row %d has the code %d, which no load has", len(r.codes), last)
			}
			r.codes = append(r.codes, code(last))
			continue
		}
		if err := d.run(r, count); err != nil {
			return err
		}
	}
	return nil
}

// run reads a stretch of unknown rows of one class.
func (d *decoder) run(r *rows, count uint64) error {
	if len(d.left) == 0 {
		return errShort
	}
	c := code(d.left[0])
	d.left = d.left[1:]
	n, err := d.uvarint()
	if err != nil {
		return err
	}
	if c >= codeZero || n == 0 || n > count-uint64(len(r.codes)) {
		return fmt.Errorf("%d rows of class %d do not fit", n, c)
	}
	for range n {
		r.codes = append(r.codes, c)
	}
	return nil
}

func (d *decoder) shares(r *Record) error {
	count, err := d.uvarint()
	if err != nil {
		return err
	}
	if count > mostShares {
		return fmt.Errorf("%d are more than the %d that are kept", count, mostShares)
	}
	for range count {
		from, n := binary.Varint(d.left)
		if n <= 0 || len(d.left) < n+8 {
			return errShort
		}
		share := math.Float64frombits(binary.LittleEndian.Uint64(d.left[n:]))
		d.left = d.left[n+8:]
		r.shares = append(r.shares, shareRun{from, share})
	}
	return nil
}
