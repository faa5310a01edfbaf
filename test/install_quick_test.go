//go:build !soak

package test

// killEach is at which calls of an install it is killed: each third.
const killEach = 3
