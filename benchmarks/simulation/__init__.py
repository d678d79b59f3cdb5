"""Simulations of known truth for every interval and test of ``seedbed.stats``: the tables of docs/simulation.md."""
