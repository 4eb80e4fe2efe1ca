"""The one log: whatever happens is one entry, and whatever is told is read from here."""
