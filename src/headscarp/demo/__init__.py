"""Real services on this machine for demonstrations and tests: object store, endpoint, orchestrator."""
