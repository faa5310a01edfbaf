//go:build soak

package trail

const thorough = true
