"""The requirements on an event loop: one TOML file an area, loaded once into frozen data."""

from .loading import SpecError, load, parse
from .model import BASES, LEVELS, Api, Area, Parameter, Requirement, Spec

__all__ = ["BASES", "LEVELS", "Api", "Area", "Parameter", "Requirement", "Spec", "SpecError", "load", "parse"]
