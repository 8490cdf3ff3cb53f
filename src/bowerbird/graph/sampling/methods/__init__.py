"""Ways to score the nodes around a node: forward push, its plain reference, simulated walks, power iteration."""
