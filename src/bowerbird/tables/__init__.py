"""The data contract: ingest, store, vocabularies, the wall in time, histories, datasets, simulation."""
