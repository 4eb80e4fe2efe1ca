"""The register's storage: all tables (`schema`), both engines (`engine`, `dialect`), group commit (`batcher`)."""
