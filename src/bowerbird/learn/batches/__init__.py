"""Where batches come from, and the thread that builds them ahead."""
