"""Exports: a manifest's rows in the forms that other loaders read. Never train from exports."""
