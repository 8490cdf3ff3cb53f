"""Sampled softmax: negatives, their probabilities, masks and the logit scale."""
