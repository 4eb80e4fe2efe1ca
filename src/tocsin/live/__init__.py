"""Everything that happens, as it happens: one reader of the log for all who listen."""
