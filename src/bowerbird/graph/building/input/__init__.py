"""What a graph is built from: edges given by a person, checked before anything is built."""
