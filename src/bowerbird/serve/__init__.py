"""The engine, its HTTP face and the console page."""
