"""What can be said on the command line about tests, exports and imports."""

from __future__ import annotations

from typing import Any

FORMATS = ("yaml", "svg", "png", "mermaid", "share")


def add_proving(verbs: Any) -> None:
    """The verbs `test`, `export` and `import`."""
    test = verbs.add_parser("test", help="try a workflow's tests in dry runs; exit 1 when one fails")
    test.add_argument("workflow", metavar="FILE-or-NAME", help="a YAML file, or the name of a saved workflow")
    test.add_argument("--json", action="store_true", help="print a list of results")
    export = verbs.add_parser("export", help="write a saved workflow, or a picture of it, to a file")
    export.add_argument("workflow", metavar="NAME", help="the name of a saved workflow")
    export.add_argument(
        "--format",
        choices=FORMATS,
        default="share",
        help="share (the default): the text with its proof and tests; or yaml, svg, png, mermaid",
    )
    export.add_argument("--version", type=int, metavar="N", help="an older version (default: the newest)")
    export.add_argument(
        "-o", "--output", metavar="FILE", help="default: standard output; for a png, its name"
    )
    take = verbs.add_parser(
        "import", help="keep a share file, or a plain one, as a new workflow with its tests"
    )
    take.add_argument("file", metavar="FILE", help="a YAML file; - reads standard input")
    take.add_argument(
        "--json", action="store_true", help="print name, version, tests and proof as one object"
    )
