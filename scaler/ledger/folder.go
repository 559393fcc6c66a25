package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// lockName is the file that is held while the folder is written to. Two replicas may share a folder, and for a moment at a fail-over
// both write.
const lockName = "lock"

// exclusively does something while no other replica writes to the folder. A file system without locks
// is written to without.
func (l *Ledger) exclusively(do func() error) error {
	if l.locked == nil {
		file, err := os.OpenFile(filepath.Join(l.dir, lockName), os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return do() // what is wrong with the folder is told there
		}
		l.locked = file
	}
	fd := int(l.locked.Fd())
	err := syscall.Flock(fd, syscall.LOCK_EX)
	for errors.Is(err, syscall.EINTR) {
		err = syscall.Flock(fd, syscall.LOCK_EX)
	}
	if err == nil {
		defer func() { _ = syscall.Flock(fd, syscall.LOCK_UN) }()
	}
	return do()
}
