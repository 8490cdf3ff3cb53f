"""The causal decoder with its KV cache."""
