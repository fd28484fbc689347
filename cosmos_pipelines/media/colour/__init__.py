"""What a person would see of a picture: display colours of scene-linear and other light."""
