"""What a node is to the network: its features, its neighbourhood, and how they become one unit vector."""
