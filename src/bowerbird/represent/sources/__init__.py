"""Where the rows of a training batch come from: pairs, sequences, features, and the nodes they ask for."""
