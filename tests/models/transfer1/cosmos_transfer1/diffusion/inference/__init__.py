"""Part of the simulator of Cosmos-Transfer1."""
