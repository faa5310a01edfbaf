package facts

// Inventory counts what an engine holds.
type Inventory struct {
	Images int64 `json:"images"`
	// ImagesUnused are those that no container is made of and no other image was built
	// on, and ImagesDangling those without a tag. One can be both.
	ImagesUnused   int64 `json:"images_unused"`
	ImagesDangling int64 `json:"images_dangling"`
	// ImagesBytes is the sum of the sizes of all images. Layers that are shared are
	// counted with each, so it is the most that they can take.
	ImagesBytes       int64 `json:"images_bytes"`
	ImagesUnusedBytes int64 `json:"images_unused_bytes"`
	Containers        int64 `json:"containers"`
	ContainersRunning int64 `json:"containers_running"`
	// ContainersStopped neither run nor are paused or being restarted.
	ContainersStopped int64 `json:"containers_stopped"`
	// ContainersUnchecked are those that run without a health check, by their names.
	ContainersUnchecked []string `json:"containers_unchecked"`
	// VolumesNamed are the volumes whose names a person chose, and VolumesAnonymous how
	// many have one that the engine made up.
	VolumesNamed     []string `json:"volumes_named"`
	VolumesAnonymous int64    `json:"volumes_anonymous"`
}
