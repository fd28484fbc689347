"""Part of the simulator of the framework of Cosmos 3."""
