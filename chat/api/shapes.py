"""What the API takes in and gives back, as far as FastAPI has to know it; also the source of `/api/docs`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

Text = Annotated[str, Field(description="What the person says.", max_length=200_000)]
Yaml = Annotated[str, Field(description="A workflow document.", max_length=1_100_000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewConversation(_Body):
    title: str | None = Field(None, description="Left out, the first message names it.", max_length=500)


class NewMessage(_Body):
    text: Text


class Check(_Body):
    yaml: Yaml


class NewRun(_Body):
    """Exactly one of `yaml` and `workflow`."""

    yaml: Yaml | None = None
    workflow: str | None = Field(None, description="The name of a saved workflow.")
    inputs: dict[str, Any] = Field(default_factory=dict, description="The workflow's inputs, by name.")

    @model_validator(mode="after")
    def _one_of_both(self) -> NewRun:
        if (self.yaml is None) == (self.workflow is None):
            raise ValueError("give either yaml or workflow")
        return self


class ErrorDetail(BaseModel):
    code: str = Field(description="Stable, for programs.")
    message: str = Field(description="What happened, in a sentence.")
    fix: str | None = Field(description="What can be done about it.")


class ErrorBody(BaseModel):
    error: ErrorDetail
