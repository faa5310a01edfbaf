package vuln

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// Weight is what others say of a CVE, beside the record that was matched.
type Weight struct {
	// Level and Tenths are what the record of another family says, From that family; "" is
	// that none says anything.
	Level  Level
	Tenths int
	From   string
	// Exploited is when CISA put it on its list of known exploited vulnerabilities, zero
	// where it is not there; Ransomware that it is known to be used for that.
	Exploited  time.Time
	Ransomware bool
	// EPSS is the probability that it is exploited within 30 days (FIRST's EPSS), from 0 to
	// 1, and Percentile the share of all that have no more; -1 where that is not known.
	EPSS, Percentile float64
}

// The files of weights beside those of the families: rows by CVE.
const (
	kevFile      = "kev.rows"
	epssFile     = "epss.rows"
	severityFile = "severity.rows"
)

// rows are numbers by CVE, sorted by its key.
type rows struct {
	head rowsHead
	list []weightRow
}

type rowsHead struct {
	Kind string
	// Date is when the source says that it is of.
	Date time.Time
	// Names are what a row's second number stands for, where it stands for a name.
	Names []string
	Count int
}

type weightRow struct {
	key  uint64
	a, b uint32
}

// rowsMagic begins a file of rows: behind it the length of the head (4 bytes, little
// endian), the head in JSON, the rows, 16 bytes each, and the CRC-32C of all that.
const rowsMagic = "plimrow1"

// Bounds of a file of rows: there are some 300,000 CVEs.
const (
	maxRows     = 16 << 20
	maxRowsHead = 1 << 20
	maxWeights  = 512 << 20 // of a source
)

// cveKey is a number for a CVE, that orders them; false for what is no CVE.
func cveKey(id string) (uint64, bool) {
	rest, is := strings.CutPrefix(id, "CVE-")
	year, number, found := strings.Cut(rest, "-")
	y, err := strconv.ParseUint(year, 10, 16)
	n, err2 := strconv.ParseUint(number, 10, 32)
	return y<<32 | n, is && found && err == nil && err2 == nil
}

func (r *rows) encode() ([]byte, error) {
	slices.SortFunc(r.list, func(a, b weightRow) int { return cmp.Compare(a.key, b.key) })
	r.head.Count = len(r.list)
	head, err := json.Marshal(r.head)
	if err != nil {
		return nil, err
	}
	out := binary.LittleEndian.AppendUint32([]byte(rowsMagic), uint32(len(head)))
	out = append(out, head...)
	for _, one := range r.list {
		out = binary.LittleEndian.AppendUint64(out, one.key)
		out = binary.LittleEndian.AppendUint32(out, one.a)
		out = binary.LittleEndian.AppendUint32(out, one.b)
	}
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli)), nil
}

// readRows reads a file of rows; nil where there is none.
func readRows(path, kind string) (*rows, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	damaged := fmt.Errorf("%s: it is damaged: import it again", path)
	if info.Size() > 16*maxRows+maxRowsHead {
		return nil, damaged
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	least := len(rowsMagic) + 8
	if len(data) < least || string(data[:len(rowsMagic)]) != rowsMagic || crc32.Checksum(data[:len(data)-4], castagnoli) != binary.LittleEndian.Uint32(data[len(data)-4:]) {
		return nil, damaged
	}
	length := int(binary.LittleEndian.Uint32(data[len(rowsMagic):]))
	body := data[len(rowsMagic)+4 : len(data)-4]
	r := &rows{}
	if length > len(body) || json.Unmarshal(body[:length], &r.head) != nil || r.head.Kind != kind || len(body[length:]) != 16*r.head.Count {
		return nil, damaged
	}
	body = body[length:]
	r.list = make([]weightRow, r.head.Count)
	for i := range r.list {
		r.list[i] = weightRow{binary.LittleEndian.Uint64(body[16*i:]), binary.LittleEndian.Uint32(body[16*i+8:]), binary.LittleEndian.Uint32(body[16*i+12:])}
	}
	return r, nil
}

func (r *rows) find(key uint64) (weightRow, bool) {
	if r == nil {
		return weightRow{}, false
	}
	at, found := slices.BinarySearchFunc(r.list, key, func(one weightRow, key uint64) int { return cmp.Compare(one.key, key) })
	if !found {
		return weightRow{}, false
	}
	return r.list[at], true
}

// put writes a file of rows in the place of an old one, which stays where that fails.
func (f Folder) put(name string, r *rows) error {
	data, err := r.encode()
	if err != nil {
		return err
	}
	return f.replace(name, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}, func(next string) error {
		_, err := readRows(next, name)
		return err
	})
}

// WeightStatus tells what a file of weights holds.
type WeightStatus struct {
	Name string
	Date time.Time
	CVEs int
}

// Weights tells which files of weights there are: KEV and EPSS.
func (f Folder) Weights() ([]WeightStatus, error) {
	var list []WeightStatus
	var wrong error
	for _, one := range []struct{ name, file string }{{"KEV", kevFile}, {"EPSS", epssFile}} {
		r, err := readRows(filepath.Join(string(f), one.file), one.file)
		wrong = errors.Join(wrong, err)
		if r != nil {
			list = append(list, WeightStatus{one.name, r.head.Date, len(r.list)})
		}
	}
	return list, wrong
}

// ImportKEV imports CISA's list of known exploited vulnerabilities, in JSON as CISA publishes
// it (https://www.cisa.gov/known-exploited-vulnerabilities-catalog).
func (f Folder) ImportKEV(path string) (WeightStatus, error) {
	data, err := readBounded(path)
	if err != nil {
		return WeightStatus{}, err
	}
	var body struct {
		Released        string `json:"dateReleased"`
		Vulnerabilities []struct {
			ID         string `json:"cveID"`
			Added      string `json:"dateAdded"`
			Ransomware string `json:"knownRansomwareCampaignUse"`
		} `json:"vulnerabilities"`
	}
	if _, err := strict.Decode(path, data, &body); err != nil {
		return WeightStatus{}, err
	}
	r := &rows{head: rowsHead{Kind: kevFile}}
	if r.head.Date, err = time.Parse(time.RFC3339Nano, body.Released); err != nil {
		return WeightStatus{}, fmt.Errorf(`%s: "dateReleased" is no time: %.50q`, path, body.Released)
	}
	for i, v := range body.Vulnerabilities {
		key, is := cveKey(v.ID)
		added, err := time.Parse(time.DateOnly, v.Added)
		if !is || err != nil {
			return WeightStatus{}, fmt.Errorf("%s: vulnerabilities[%d]: %.50q added on %.50q", path, i, v.ID, v.Added)
		}
		one := weightRow{key: key, a: uint32(added.Unix() / 86400)}
		if v.Ransomware == "Known" {
			one.b = 1
		}
		r.list = append(r.list, one)
	}
	if len(r.list) == 0 {
		return WeightStatus{}, fmt.Errorf("%s: it lists nothing", path)
	}
	r.unique()
	return WeightStatus{"KEV", r.head.Date, len(r.list)}, f.put(kevFile, r)
}

// unique sorts the rows and leaves the last of several about one CVE.
func (r *rows) unique() {
	slices.SortStableFunc(r.list, func(a, b weightRow) int { return cmp.Compare(a.key, b.key) })
	slices.Reverse(r.list)
	r.list = slices.CompactFunc(r.list, func(a, b weightRow) bool { return a.key == b.key })
}

// parts of EPSS's numbers that are kept.
const epssUnit = 1e6

// ImportEPSS imports EPSS's scores of a day, as FIRST publishes them
// (https://www.first.org/epss/data_stats): CSV, packed or not, whose first line says the
// date.
func (f Folder) ImportEPSS(path string) (WeightStatus, error) {
	data, err := readBounded(path)
	if err != nil {
		return WeightStatus{}, err
	}
	var in io.Reader = bytes.NewReader(data)
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return WeightStatus{}, fmt.Errorf("%s: %w", path, err)
		}
		in = io.LimitReader(z, maxWeights)
	}
	b := bufio.NewReader(in)
	first, err := b.ReadString('\n')
	if err != nil {
		return WeightStatus{}, fmt.Errorf("%s: it is no file of EPSS: %w", path, err)
	}
	r := &rows{head: rowsHead{Kind: epssFile}}
	_, after, found := strings.Cut(strings.TrimSpace(first), "score_date:")
	day, _, _ := strings.Cut(after, "T")
	if r.head.Date, err = time.Parse(time.DateOnly, day); !found || err != nil {
		return WeightStatus{}, fmt.Errorf("%s: its first line says no score_date: %.100q", path, first)
	}
	c := csv.NewReader(b)
	c.FieldsPerRecord = 3
	for line := 2; ; line++ {
		fields, err := c.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return WeightStatus{}, fmt.Errorf("%s: %w", path, err)
		}
		if line == 2 && fields[0] == "cve" {
			continue
		}
		key, is := cveKey(fields[0])
		probability, err1 := strconv.ParseFloat(fields[1], 64)
		percentile, err2 := strconv.ParseFloat(fields[2], 64)
		if !is || err1 != nil || err2 != nil || !(probability >= 0 && probability <= 1 && percentile >= 0 && percentile <= 1) || len(r.list) == maxRows {
			return WeightStatus{}, fmt.Errorf("%s:%d: %.100q is no score of a CVE", path, line, strings.Join(fields, ","))
		}
		r.list = append(r.list, weightRow{key, uint32(probability*epssUnit + 0.5), uint32(percentile*epssUnit + 0.5)})
	}
	if len(r.list) == 0 {
		return WeightStatus{}, fmt.Errorf("%s: it scores nothing", path)
	}
	r.unique()
	return WeightStatus{"EPSS", r.head.Date, len(r.list)}, f.put(epssFile, r)
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxWeights+1))
	if err == nil && len(data) > maxWeights {
		err = fmt.Errorf("%s: it is longer than %d MiB", path, maxWeights>>20)
	}
	return data, err
}

// WeighAll makes anew, of all families' files, what each CVE's gravest record with a score
// says: for records of other families that say nothing.
func (f Folder) WeighAll() error {
	list, err := f.Status()
	if err != nil {
		return err
	}
	r := &rows{head: rowsHead{Kind: severityFile}}
	best := map[uint64]weightRow{}
	for n, s := range list {
		r.head.Names = append(r.head.Names, s.Family)
		if s.Newest.After(r.head.Date) {
			r.head.Date = s.Newest
		}
		path, err := f.path(s.Family)
		if err != nil {
			return err
		}
		d, err := Open(path)
		if err != nil {
			return err
		}
		err = d.each(func(names names, s Severity) {
			if s.Tenths < 0 {
				return
			}
			if s.Level == Negligible && s.Tenths > 0 {
				// Debian says that there is no flaw in what it has, which is true there alone.
				s.Level = levelOfScore(s.Tenths, false)
			}
			h := hit{names: names}
			for _, id := range h.cves() {
				if len(h.cves()) > 1 { // a score of several flaws is none of theirs
					continue
				}
				if key, is := cveKey(id); is {
					one := weightRow{key, uint32(s.Tenths)<<8 | uint32(s.Level), uint32(n)}
					if have, there := best[key]; !there || one.a > have.a {
						best[key] = one
					}
				}
			}
		})
		if err = errors.Join(err, d.Close()); err != nil {
			return err
		}
	}
	for _, one := range best {
		r.list = append(r.list, one)
	}
	return f.put(severityFile, r)
}

// weights are the files of weights of a folder.
type weights struct{ kev, epss, severity *rows }

// Weigh tells what others say of a CVE. The error is about a file that cannot be read.
func (s *Set) Weigh(id string) (Weight, error) {
	w := Weight{Tenths: -1, EPSS: -1, Percentile: -1}
	key, is := cveKey(id)
	if !is {
		return w, nil
	}
	all, err := s.weights()
	if err != nil {
		return w, err
	}
	if r, is := all.kev.find(key); is {
		w.Exploited, w.Ransomware = time.Unix(int64(r.a)*86400, 0).UTC(), r.b != 0
	}
	if r, is := all.epss.find(key); is {
		w.EPSS, w.Percentile = float64(r.a)/epssUnit, float64(r.b)/epssUnit
	}
	if r, is := all.severity.find(key); is && int(r.b) < len(all.severity.head.Names) {
		w.Level, w.Tenths, w.From = Level(r.a&0xff), int(r.a>>8), all.severity.head.Names[r.b]
	}
	return w, nil
}

func (s *Set) weights() (*weights, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.others != nil {
		return s.others, nil
	}
	w := &weights{}
	var errs [3]error
	w.kev, errs[0] = readRows(filepath.Join(string(s.folder), kevFile), kevFile)
	w.epss, errs[1] = readRows(filepath.Join(string(s.folder), epssFile), epssFile)
	w.severity, errs[2] = readRows(filepath.Join(string(s.folder), severityFile), severityFile)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	s.others = w
	return w, nil
}
