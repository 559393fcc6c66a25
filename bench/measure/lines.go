package measure

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// readLines gives each JSON line of a file to use. A last line without its end is being written and is
// counted as torn; any other line that does not parse is an error that names file and line.
func readLines[T any](path string, use func(T) error) (torn int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("reading a log: %w; was the run's folder kept?", err)
	}
	defer func() { _ = file.Close() }()
	reader := bufio.NewReaderSize(file, 1<<20)
	for number := 1; ; number++ {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			if len(line) > 0 {
				torn = 1
			}
			return torn, nil
		}
		if err != nil {
			return 0, fmt.Errorf("reading %s line %d: %w; is the disk sound?", path, number, err)
		}
		if len(line) == 1 {
			continue
		}
		var value T
		if err := json.Unmarshal(line, &value); err != nil {
			return 0, fmt.Errorf("reading %s line %d: %w; a log line is one JSON object", path, number, err)
		}
		if err := use(value); err != nil {
			return 0, fmt.Errorf("reading %s line %d: %w", path, number, err)
		}
	}
}
