"""The models, behind one adapter: `Models` is what the application makes, `complete` the plain way to ask."""

from __future__ import annotations

from engine.models.choice import Chosen, CredentialStore, InMemory, ModelChoice
from engine.models.client import Models, complete
from engine.models.names import EMBEDDED, PROVIDERS, Provider

__all__ = [
    "EMBEDDED",
    "PROVIDERS",
    "Chosen",
    "CredentialStore",
    "InMemory",
    "ModelChoice",
    "Models",
    "Provider",
    "complete",
]
