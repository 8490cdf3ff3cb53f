"""The learner contract, artifacts, the one training loop, groups."""
