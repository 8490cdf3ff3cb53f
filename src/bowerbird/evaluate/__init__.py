"""Cases, metrics, baselines, intervals and reports."""
