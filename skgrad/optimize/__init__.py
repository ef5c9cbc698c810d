"""Minimising plain functions with SciPy's methods and exact derivatives."""

from skgrad.optimize.minimize import minimize

__all__ = ["minimize"]
