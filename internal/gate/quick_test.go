//go:build !soak

package gate

const thorough = false
