"""What the report measures: users to items, cold items among themselves, and pairs of entities."""
