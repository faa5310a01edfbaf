//go:build !soak

package trail

const everyByte = false
