"""Which files of a directory of renders are which pass of which scene, by their names."""
