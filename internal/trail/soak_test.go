//go:build soak

package trail

const everyByte = true
