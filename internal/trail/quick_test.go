//go:build !soak

package trail

const thorough = false
