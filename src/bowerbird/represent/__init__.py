"""OmniSage: one embedding for items, collections and users from graph, content and sequences (arXiv 2504.17811)."""
