"""What tests in several packages stand on."""
