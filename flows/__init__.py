"""Orchestration: the only folder that imports prefect and that sees both others."""
