"""Every way in which the engine fails.

    ParlanceError
    ├── WorkflowInvalid      the document has problems of severity error (`problems`)
    ├── InputError           an input is missing, unknown or of the wrong type
    ├── NotFound             no such run, workflow, version, conversation
    ├── CapReached           the assistant's own calls may cost no more today
    ├── Conflict             it can't be done now: already answered, already running, another owner
    ├── RunError
    │   ├── RunTooLong       it was active longer than it may be
    │   ├── GateMissed       a gate of the document does not hold
    │   ├── NodeError        a node failed (`node`, `retryable`)
    │   │   └── RunStopped   a person said that the run is to stop; `on_error` has no say in it
    │   │       └── BudgetSpent  a call of a model could have passed the run's budget; it was not made
    │   ├── RunCancelled     somebody stopped the run
    │   └── FenceLost        another process has taken the run over; this one must write nothing more
    ├── ModelError           a model call failed (`retryable`); vendors' errors never pass this border
    │   ├── ModelMissing     no model is configured, or the one named is not known
    │   ├── ModelAuthError   no key, or the key was refused
    │   ├── ModelRateLimited too many requests, or the account has no money left
    │   ├── ModelUnavailable no connection, a server error, or the stream broke off
    │   ├── ModelTimeout     no answer in time
    │   ├── ModelTooLong     the prompt does not fit the model
    │   ├── ModelRefused     the vendor's filter or the model refused the request
    │   └── ModelBadReply    the reply does not fit what was asked for, also after the re-ask
    └── StoreError           the store can't be read or written

Tools raise `tools.errors.ToolError`; the engine turns it into a NodeError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from engine.ports import ModelReply
    from engine.problems import Problem


class ParlanceError(Exception):
    """Base of all errors: a plain sentence, and the fix as a second one. `code` is stable, for programs."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}" if self.fix else self.message

    @property
    def fault(self) -> Mapping[str, Any]:
        """What is kept of it for programs: its `code`, and facts such as a name that is missing."""
        return {"code": self.code}


class WorkflowInvalid(ParlanceError):
    """The document was refused by the checker."""

    code = "workflow_invalid"

    def __init__(self, problems: Sequence[Problem], what: str = "The workflow") -> None:
        errors = [p for p in problems if p.severity == "error"]
        first = f" First: line {errors[0].line}: {errors[0].message}" if errors else ""
        count = "1 problem" if len(errors) == 1 else f"{len(errors)} problems"
        super().__init__(f"{what} has {count}.{first}")
        self.problems = tuple(problems)


class InputError(ParlanceError):
    """An input of a run is missing, unknown or of the wrong type. `field` names it."""

    code = "input_invalid"

    def __init__(self, message: str, fix: str | None = None, field: str | None = None) -> None:
        super().__init__(message, fix)
        self.field = field


class NotFound(ParlanceError):
    """No such run, workflow, version or conversation, or it belongs to somebody else."""

    code = "not_found"


class CapReached(ParlanceError):
    """A call of the assistant's could pass what its owner allows for a day; it was not made."""

    code = "daily_cap"


class Conflict(ParlanceError):
    """It can't be done in the present state."""

    code = "conflict"


class RunError(ParlanceError):
    """A run could not go on."""

    code = "run_failed"


class RunTooLong(RunError):
    """It was active longer than it may be."""

    code = "run_timeout"


class GateMissed(RunError):
    """A gate of the document does not hold."""

    code = "gate"


class NodeError(RunError):
    """A node failed. `retryable` says whether a further attempt may help, `fault` is that of the cause."""

    code = "node_failed"

    def __init__(
        self,
        node: str,
        message: str,
        fix: str | None = None,
        *,
        retryable: bool = False,
        fault: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, fix)
        self.node = node
        self.can_retry = retryable
        self._fault = fault

    @property
    def fault(self) -> Mapping[str, Any]:
        return self._fault or {"code": self.code}


class RunStopped(NodeError):
    """Something may have happened, and a person chose to stop the run."""

    code = "run_stopped"


class BudgetSpent(RunStopped):
    """A call could have cost more than is left of the budget; it was not made, and the run ends."""

    code = "budget_spent"


class RunCancelled(RunError):
    """The run was stopped on request."""

    code = "run_cancelled"


class FenceLost(RunError):
    """Another process has claimed the run with a higher epoch."""

    code = "fence_lost"


class ModelError(ParlanceError):
    """A model call failed."""

    code = "model_error"


class ModelMissing(ModelError):
    code = "model_missing"


class ModelAuthError(ModelError):
    code = "model_auth"


class ModelRateLimited(ModelError):
    code = "model_rate_limited"
    retryable = True


class ModelUnavailable(ModelError):
    code = "model_unavailable"
    retryable = True


class ModelTimeout(ModelError):
    code = "model_timeout"
    retryable = True


class ModelTooLong(ModelError):
    code = "model_too_long"


class ModelRefused(ModelError):
    code = "model_refused"


class ModelBadReply(ModelError):
    """`reply` is the last one, with the counts and the cost of all that was asked; None where unknown."""

    code = "model_bad_reply"

    def __init__(self, message: str, fix: str | None = None, reply: ModelReply | None = None) -> None:
        super().__init__(message, fix)
        self.reply = reply


class StoreError(ParlanceError):
    """The store can't be read or written."""

    code = "store_error"
