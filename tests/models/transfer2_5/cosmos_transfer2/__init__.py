"""Part of the simulator of Cosmos-Transfer2.5."""
