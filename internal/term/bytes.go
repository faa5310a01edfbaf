package term

import "strconv"

// Bytes writes a number of bytes in the largest binary unit that leaves at least 1.
func Bytes(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	value, u := float64(n), 0
	for value >= 1024 && u+1 < len(units) {
		value, u = value/1024, u+1
	}
	return strconv.FormatFloat(value, 'f', decimals(value, u), 64) + " " + units[u]
}

func decimals(value float64, unit int) int {
	if unit == 0 || value >= 100 || value == float64(int64(value)) {
		return 0
	}
	return 1
}
