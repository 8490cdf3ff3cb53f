"""Folders that appear whole and verify at load; tensors and arrays as safetensors."""
