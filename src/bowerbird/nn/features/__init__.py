"""Times, hashed ids, text and whole items as vectors."""
