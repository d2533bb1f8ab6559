"""Judgement: sources, metrics, checks, policy and contracts. Never torch, never prefect."""
