package inventory

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"
)

// TestDamaged spoils the file of a database in several ways: it is made anew, and
// answers as before.
func TestDamaged(t *testing.T) {
	s := randomStory(5, 3000)
	fresh := synced(t, s.all())
	want, wantList := dump(t, fresh), written(t, list(t, fresh, Filter{All: true}))
	overwrite := func(from, to float64) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			a, b := int(from*float64(len(data))), int(to*float64(len(data)))
			copy(data[a:b], bytes.Repeat([]byte{0xa5}, b-a))
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, spoil := range map[string]func(t *testing.T, path string){
		"all":       overwrite(0, 1),
		"head":      overwrite(0, 0.01),
		"middle":    overwrite(0.1, 0.9),
		"nearly it": overwrite(0.05, 1),
		"cut": func(t *testing.T, path string) {
			if err := os.Truncate(path, 100<<10); err != nil {
				t.Fatal(err)
			}
		},
		"empty": func(t *testing.T, path string) {
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
		},
		"text": func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("no database\n", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"no place": func(t *testing.T, path string) {
			db := openAt(t, path)
			if _, err := db.sql.Exec("DELETE FROM meta"); err != nil {
				t.Fatal(err)
			}
			db.Close()
		},
		"nothing": func(*testing.T, string) {}, // the twin: what is whole is kept
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "inventory.db")
			db := openAt(t, path)
			if err := db.Sync(t.Context(), s.all()); err != nil {
				t.Fatal(err)
			}
			if _, err := db.sql.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
				t.Fatal(err)
			}
			db.Close()
			before, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			spoil(t, path)
			db = openAt(t, path)
			if err := db.Sync(t.Context(), s.all()); err != nil {
				t.Fatal(err)
			}
			if got := written(t, list(t, db, Filter{All: true})); got != wantList {
				t.Errorf("it answers otherwise:\n%s", diff.Diff(wantList, got))
			}
			if got := dump(t, db); got != want {
				t.Error("it holds something else")
			}
			after, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if name == "nothing" && !os.SameFile(before, after) {
				t.Error("a database that was whole was replaced")
			}
			if after.Mode().Perm() != 0o600 {
				t.Errorf("others may read it: %v", after.Mode())
			}
		})
	}
}

// TestDamagedWhileOpen spoils the file behind an open database, so that List meets it.
func TestDamagedWhileOpen(t *testing.T) {
	s := randomStory(5, 3000)
	path := filepath.Join(t.TempDir(), "inventory.db")
	db := openAt(t, path)
	if err := db.Sync(t.Context(), s.all()); err != nil {
		t.Fatal(err)
	}
	want := written(t, list(t, db, Filter{All: true}))
	if _, err := db.sql.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// The first pages say what there is; what is behind them is gone.
	if _, err := f.WriteAt(make([]byte, len(data)-3*4096), 3*4096); err != nil {
		t.Fatal(err)
	}
	db.sql.SetMaxIdleConns(0) // forget what is in memory
	if got := written(t, list(t, db, Filter{All: true})); got != want {
		t.Errorf("it answers otherwise:\n%s", diff.Diff(want, got))
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "opening the inventory") {
		t.Errorf("a folder as a database: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(dir, "file", "inventory.db")); err == nil {
		t.Error("a file as a folder is accepted")
	}
	// A name that would mean something to the driver is just a name.
	odd := filepath.Join(dir, "new folder", "a?_pragma=x#%41 b.db")
	db := openAt(t, odd)
	if err := db.Sync(t.Context(), randomStory(1, 20).all()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(odd); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(filepath.Dir(odd))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v %v", info.Mode(), err)
	}
}

// helper is the variable that makes the test program a process that syncs.
const helper = "PLIMSOLL_INVENTORY_TEST"

func TestMain(m *testing.M) {
	if path := os.Getenv(helper); path != "" {
		if err := helperMain(path); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// helperMain reads a story in parts, and lists between them.
func helperMain(path string) error {
	ctx := context.Background()
	s := randomStory(6, 4000)
	for size := 0; size <= len(s.events); size += 400 {
		db, err := Open(path)
		if err != nil {
			return err
		}
		db.batch = 90
		src := s.upTo(size)
		src.later = s.all() // another may have read more of the same trail
		if err := db.Sync(ctx, src); err != nil {
			return err
		}
		l, err := db.List(ctx, Filter{Now: s.now, All: true})
		if err != nil {
			return err
		}
		if l.Events < int64(size) {
			return errors.New("it has read less than it was told to")
		}
		if err := db.Close(); err != nil {
			return err
		}
	}
	return nil
}

// TestProcesses has processes that read and write one file at the same time; one of
// them is killed again and again.
func TestProcesses(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "inventory.db")
	start := func() (*exec.Cmd, *bytes.Buffer) {
		c := exec.Command(exe)
		c.Env = append(os.Environ(), helper+"="+path)
		var out bytes.Buffer
		c.Stderr = &out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c, &out
	}
	var wg sync.WaitGroup
	for range 2 {
		c, out := start()
		wg.Go(func() {
			if err := c.Wait(); err != nil {
				t.Errorf("a process: %v: %s", err, out)
			}
		})
	}
	for i := range 8 {
		c, _ := start()
		time.Sleep(time.Duration(30+40*i) * time.Millisecond) // somewhere in the midst of it
		_ = c.Process.Kill()
		_ = c.Wait() // it was killed
	}
	wg.Wait()
	s := randomStory(6, 4000)
	db := openAt(t, path)
	if err := db.Sync(t.Context(), s.all()); err != nil {
		t.Fatal(err)
	}
	if got, want := dump(t, db), dump(t, synced(t, s.all())); got != want {
		t.Errorf("what the processes left is not what the trail says:\n%s", diff.Diff(want, got))
	}
}

// TestProcessesDamaged has goroutines with databases of their own meet a damaged file at
// once: one replaces it, and all answer.
func TestProcessesDamaged(t *testing.T) {
	s := randomStory(7, 500)
	path := filepath.Join(t.TempDir(), "inventory.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			db, err := Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			defer db.Close()
			if err := db.Sync(t.Context(), s.all()); err != nil {
				t.Error(err)
				return
			}
			if l, err := db.List(t.Context(), Filter{Now: s.now}); err != nil || l.Events != 500 {
				t.Errorf("%+v, %v", l, err)
			}
		})
	}
	wg.Wait()
	db := openAt(t, path)
	if err := db.Sync(t.Context(), s.all()); err != nil || dump(t, db) != dump(t, synced(t, s.all())) {
		t.Errorf("what is left is not what the trail says, %v", err)
	}
}
