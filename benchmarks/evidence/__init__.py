"""What the claim benchmarks share: rows with a status, and the measurements behind several rows."""
