"""The training tasks and the one sampled softmax they share."""
