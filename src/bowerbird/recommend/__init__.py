"""PinRec: outcome-conditioned, multi-token generative retrieval."""
