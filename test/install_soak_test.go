//go:build soak

package test

// killEach is at which calls of an install it is killed: each.
const killEach = 1
