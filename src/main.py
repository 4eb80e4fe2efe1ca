"""The original service's entry point."""

from tocsin.app import app as app  # the original service is started as `uvicorn src.main:app`
