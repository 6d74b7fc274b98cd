"""Repeated seeded training: the plan, the engines, the executors and the cache of finished runs."""
