"""Orchestration: Prefect flows, the command line, the report. Only this folder sees the others."""

import os

# Nothing leaves the machine unless the user asks for it. These reach every process that we start;
# pyproject.toml says the same to Prefect commands, which read it before this file is imported.
for _name, _value in {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",  # the default dies on a busy box
}.items():
    os.environ.setdefault(_name, _value)
