"""A worker whose results cost nothing: what is left is the pipe. `python -m bench.idle_worker`."""

from __future__ import annotations

from checks.metrics.workers import serve

if __name__ == "__main__":
    serve(lambda row, _limits: lambda items: (dict(row) for _ in items))
