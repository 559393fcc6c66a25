package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestDownEndsTheProcessOfTheFolderAndNoOtherWithItsID(t *testing.T) {
	sleeper := exec.Command("sleep", "1000")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sleeper.Process.Kill() }) // it has mostly ended
	pid := sleeper.Process.Pid
	began, runs := lifeOf(pid)
	if !runs {
		t.Fatal("a process that was just started does not run")
	}
	folder := func(text string) string {
		dir := filepath.Join(t.TempDir(), "testbed")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, pidFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	another := folder(fmt.Sprintf("%d %s1", pid, began))
	if err := end(another, true); err != nil {
		t.Error(err)
	}
	if _, runs := lifeOf(pid); !runs {
		t.Fatal("a process that has only the id of the testbed's was ended")
	}
	own := folder(fmt.Sprintf("%d %s", pid, began))
	if err := end(own, false); err != nil {
		t.Error(err)
	}
	if _, runs := lifeOf(pid); runs {
		t.Error("it still runs")
	}
	if _, err := os.Stat(own); !os.IsNotExist(err) {
		t.Errorf("its folder is still there: %v", err)
	}
	if _, err := os.Stat(another); err != nil {
		t.Errorf("--keep does not keep: %v", err)
	}
	for text, want := range map[string]string{"1 0": "no process id", "x": "no process id"} {
		if err := end(folder(text), true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := end(t.TempDir(), true); err == nil || !strings.Contains(err.Error(), "finding the testbed") {
		t.Error(err)
	}
}
