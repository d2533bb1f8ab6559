"""Learning: shards, loader, models, trainer, experiment, statistics. Never checks, never flows."""
