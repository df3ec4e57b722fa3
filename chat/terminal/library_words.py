"""What can be said on the command line about saved workflows, preferences and one's own data."""

from __future__ import annotations

from typing import Any


def add_library(verbs: Any) -> None:
    """The verbs `workflows`, `workflow`, `why`, `delete`, `preferences` and `data`."""
    listing = verbs.add_parser("workflows", help="list the saved workflows")
    listing.add_argument("--archived", action="store_true", help="those that are archived")
    _json(listing)
    _add_workflow_actions(verbs)
    why = verbs.add_parser("why", help="tell which message asked for a line of a workflow")
    why.add_argument("workflow", metavar="FILE-or-NAME", help="a YAML file, or the name of a saved workflow")
    why.add_argument("place", metavar="LINE", help="a line's number, or a path such as nodes.review.prompt")
    _json(why)
    delete = verbs.add_parser("delete", help="forget a run that has ended, with all below it")
    delete.add_argument("run_id", metavar="RUN")
    preferences = verbs.add_parser(
        "preferences", help="show or change what you prefer, such as your time zone"
    )
    preferences.add_argument(
        "changes",
        nargs="*",
        metavar="KEY=VALUE",
        help="such as timezone=Europe/Berlin; nothing after = unsets",
    )
    _json(preferences)
    _add_data(verbs)


def _add_workflow_actions(verbs: Any) -> None:
    workflow = verbs.add_parser("workflow", help="rename, copy, archive or delete a saved workflow")
    actions = workflow.add_subparsers(
        dest="action", metavar="versions|rename|copy|archive|unarchive|delete", required=True
    )
    versions = actions.add_parser("versions", help="list its versions: who, when, what changed")
    rename = actions.add_parser("rename", help="give it another name, also in its text")
    copy = actions.add_parser("copy", help="make a workflow of its own of the newest version")
    archive = actions.add_parser("archive", help="put it out of the lists; it runs as before")
    unarchive = actions.add_parser("unarchive", help="put it back in the lists")
    delete = actions.add_parser("delete", help="forget it with its versions and tests; its runs stay")
    for action in (versions, rename, copy, archive, unarchive, delete):
        action.add_argument("name", metavar="NAME")
        _json(action)
    rename.add_argument("new", metavar="NEW")
    rename.add_argument("--references", action="store_true", help="change the workflows that start it, too")
    copy.add_argument("new", nargs="?", metavar="NEW", help="default: NAME-copy")
    delete.add_argument(
        "--force", action="store_true", help="also where schedules (they go too) or other workflows start it"
    )


def _add_data(verbs: Any) -> None:
    data = verbs.add_parser("data", help="take everything along that is kept of you, or erase it")
    actions = data.add_subparsers(dest="action", metavar="export|erase", required=True)
    export = actions.add_parser("export", help="write it all to a zip file")
    export.add_argument("-o", "--output", required=True, metavar="FILE", help="the zip; - is standard output")
    erase = actions.add_parser("erase", help="delete it all, for good")
    erase.add_argument("--yes", action="store_true", help="do not ask")


def _json(verb: Any) -> None:
    verb.add_argument("--json", action="store_true", help="print JSON")
