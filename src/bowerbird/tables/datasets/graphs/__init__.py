"""Sets whose worth is in their relations: libraries, citations, friends, tags, products that go together."""
