package landscape

// Scenes lists all scenes, for tests.
func Scenes() []Scene {
	var all []Scene
	for _, f := range families() {
		all = append(all, f.scene)
	}
	return all
}
