"""Orders on a host that is reached over SSH, whatever carries them there."""
