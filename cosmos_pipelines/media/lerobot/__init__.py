"""LeRobot data sets: one episode and camera is the colour of a scene, its task the prompt."""
