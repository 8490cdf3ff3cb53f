"""A trained model at work: vectors of nodes and users, in streams that resume, re-embedding only what changed."""
