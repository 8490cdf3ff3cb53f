"""A view as OmniSage sees it: its graph, the neighbourhoods in it, and what is known of every node."""
