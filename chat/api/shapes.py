"""What the API takes in and gives back, as far as FastAPI has to know it; also the source of `/api/docs`."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Text = Annotated[str, Field(description="What the person says.", max_length=200_000)]
Yaml = Annotated[str, Field(description="A workflow document.", max_length=1_100_000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewConversation(_Body):
    title: str | None = Field(None, description="Left out, the first message names it.", max_length=500)


class NewMessage(_Body):
    text: Text = ""
    files: list[str] = Field(
        default_factory=list, description="The ids of uploaded files to attach.", max_length=100
    )


class Check(_Body):
    yaml: Yaml


class DocumentOf(_Body):
    """Exactly one of `yaml` and `workflow`."""

    yaml: Yaml | None = None
    workflow: str | None = Field(None, description="The name of a saved workflow.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.yaml is None) == (self.workflow is None):
            raise ValueError("give either yaml or workflow")
        return self


class NewRun(DocumentOf):
    inputs: dict[str, Any] = Field(default_factory=dict, description="The workflow's inputs, by name.")
    budget_usd: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="The most that it may cost; the document may say less."
    )
    ignore_gates: bool = Field(False, description="Run it even where a gate of it blocks further runs.")
    dry: bool = Field(False, description="Rehearse it: no model is asked, nothing happens.")


class EstimateOf(DocumentOf):
    inputs: dict[str, Any] = Field(default_factory=dict, description="As far as they are known.")


class NewSchedule(DocumentOf):
    cron: str = Field(description="Five fields, for example 0 9 * * 1.", max_length=200)
    workflow: str | None = Field(None, description="The name of a saved workflow: its newest version runs.")
    timezone: str = Field("UTC", description="Such as Europe/Berlin.", max_length=100)
    inputs: dict[str, Any] = Field(default_factory=dict, description="The workflow's inputs, by name.")
    id: str | None = Field(None, description="Left out, it is made from the workflow's name.")
    overlap: bool = Field(False, description="Start also while the run before has not ended.")


class Retry(_Body):
    node: str = Field(description="The first node that runs again; the rows before it are kept.")
    yaml: Yaml | None = Field(None, description="The document put right; left out, the run's own.")


class Replay(_Body):
    model: str = Field(description="provider/model", pattern=r"^[^/]+/.+$")


class NewAnswer(_Body):
    node: str = Field(
        description="The node that asks, or the path of the question, such as sub/approve or check[2]."
    )
    value: Any = Field(description="The answer: an option, or what fits the node's output.")
    iteration: int | None = Field(
        None, description="Which visit of the node; left out, the oldest that is open."
    )


class ErrorDetail(BaseModel):
    code: str = Field(description="Stable, for programs.")
    message: str = Field(description="What happened, in a sentence.")
    fix: str | None = Field(description="What can be done about it.")


class ErrorBody(BaseModel):
    error: ErrorDetail


class ChangeWorkflow(_Body):
    """What is left out stays as it is."""

    name: str | None = Field(None, description="Another name.", max_length=200)
    references: bool = Field(False, description="With a name: change the workflows that start it, too.")
    archived: bool | None = Field(None, description="Out of the lists, or back.")


class CopyWorkflow(_Body):
    name: str | None = Field(None, description="Left out, the copy's name ends in -copy.", max_length=200)


class Erase(_Body):
    confirm: str = Field(description="The words: erase my data", max_length=100)
