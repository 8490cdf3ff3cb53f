"""The routes, by what they are about. Each is a few lines between a message and the engine."""
