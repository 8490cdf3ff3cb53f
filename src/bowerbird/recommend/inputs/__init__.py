"""What the network reads beside the events: item features, condition codes, trends."""
