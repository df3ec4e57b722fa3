"""What code can do in the sandbox, and what is said when it cannot."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.sandbox.conftest import Box
from tools.errors import ToolError, ToolRetry
from tools.sandbox.guest.modules import OFFERED
from tools.sandbox.pool import SandboxError, SandboxRetry, is_small

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
numbers = st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)


def fails(box: Box, code: str, **options: Any) -> SandboxError:
    with pytest.raises(SandboxError) as caught:
        box.run(code, options.pop("inputs", None), **options)
    return caught.value


@given(values)
def test_what_goes_in_comes_out(box: Box, value: Any) -> None:
    done = box.run("result = inputs['v']", {"v": value})
    assert done.result == value
    assert repr(done.result) == repr(value)


@given(values)
def test_what_the_code_writes_comes_out(box: Box, value: Any) -> None:
    assert box.run(f"result = {value!r}").result == value


@given(st.text(max_size=60))
def test_any_text_as_code_gives_a_result_or_a_sentence(box: Box, code: str) -> None:
    try:
        box.run(code, timeout=5)
        said = "a result"
    except SandboxError as error:
        said = str(error)
    assert said
    assert "Traceback" not in said


@given(texts)
def test_what_is_printed_comes_out(box: Box, text: str) -> None:
    assert box.run("print(inputs['t'], end='')", {"t": text}).stdout == text


def test_result_print_and_names(box: Box) -> None:
    done = box.run("print('hello', 1); result = {'a': (1, 2)}")
    assert (done.result, done.has_result, done.stdout) == ({"a": [1, 2]}, True, "hello 1\n")
    done = box.run("import math\na = 1\n_b = 2\ndef f(): pass\nc = {'x': [math.pi]}\nd = {1, 2}")
    assert (done.result, done.has_result) == (None, False)
    assert done.names == {"a": 1, "c": {"x": [math.pi]}}
    assert box.run("result = None").has_result


def test_keys_become_text_as_in_json(box: Box) -> None:
    assert box.run("result = {1: 'a', None: 'b'}").result == {"1": "a", "null": "b"}


def test_every_module_that_is_offered_can_be_imported(box: Box) -> None:
    code = "\n".join(f"import {name}" for name in OFFERED)
    assert box.run(f"{code}\nresult = 1").result == 1


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import re; result = re.findall(r'\\d+', 'a1b22')", ["1", "22"]),
        ("import statistics; result = statistics.median([1, 3, 2])", 2),
        (
            "from datetime import datetime as d; result = d.strptime('2024-02-29', '%Y-%m-%d').strftime('%j')",
            "060",
        ),
        ("import decimal; result = str(decimal.Decimal('0.1') * 3)", "0.3"),
        ("import csv, io; result = list(csv.DictReader(io.StringIO('a,b\\n1,2')))", [{"a": "1", "b": "2"}]),
        (
            "import hashlib, base64; result = base64.b64encode(hashlib.md5(b'x').digest()).decode()",
            "ndTkYSaMgDT1yFZOFVxnpg==",
        ),
        ("import urllib.parse as u; result = u.parse_qs('a=1&a=2')", {"a": ["1", "2"]}),
        ("import xml.etree.ElementTree as e; result = e.fromstring('<a b=\"1\"/>').attrib", {"b": "1"}),
        ("import sqlite3; result = sqlite3.connect(':memory:').execute('select 6 * 7').fetchone()[0]", 42),
        ("import zlib; result = zlib.decompress(zlib.compress(b'abc')).decode()", "abc"),
        (
            "from dataclasses import dataclass, asdict\n@dataclass\nclass A:\n    x: int\nresult = asdict(A(1))",
            {"x": 1},
        ),
        ("from typing import TypedDict\nclass T(TypedDict):\n    x: int\nresult = T(x=1)", {"x": 1}),
        ("import unicodedata; result = unicodedata.normalize('NFD', 'é')", "e\u0301"),
        ("result = 'ä'.encode('latin-1').decode('cp1252')", "ä"),
        ("if __name__ == '__main__':\n    result = 'main'", "main"),
        ("import sys\nresult = 1\nsys.exit()", 1),
    ],
)
def test_the_standard_library_works(box: Box, code: str, expected: Any) -> None:
    assert box.run(code).result == expected


def test_time_zones_are_there(box: Box) -> None:
    code = """
import datetime, zoneinfo
summer = datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo('America/New_York'))
result = [str(summer), len(zoneinfo.available_timezones()) > 300]
"""
    assert box.run(code).result == ["2024-07-01 00:00:00-04:00", True]


def test_chance_is_new_in_each_run(box: Box) -> None:
    code = "import random, secrets, uuid\nresult = [random.random(), secrets.token_hex(8), str(uuid.uuid4())]"
    runs = [box.run(code).result for _ in range(4)]
    assert all(len({run[i] for run in runs}) == 4 for i in range(3))


def test_the_clock_is_right(box: Box) -> None:
    assert abs(box.run("import time; result = time.time()").result - time.time()) < 5


@pytest.mark.parametrize(
    ("code", "line", "part"),
    [
        ("a = 1\nb = a / 0", 2, "ZeroDivisionError: division by zero"),
        ("def f():\n    return {}['x']\n\nf()", 2, "KeyError: 'x'"),
        ("x = (1,\n", 1, "SyntaxError"),
        ("if True:\nx = 1", 2, "IndentationError"),
        ("total = 1\nprint(totl)", 2, "totl"),
        ("return 5", 1, "Set result = … instead of returning."),
        (
            "import numpy",
            1,
            "numpy is not in this sandbox; it needs the native or container tier, which a later version brings.",
        ),
        ("import ctypes", 1, "native or container tier"),
        ("from urllib.request import urlopen", 1, "has no network"),
        ("import requests", 1, "has no network"),
        ("import threading", 1, "one thing at a time"),
        ("open('data.csv')", 1, "The sandbox has no files"),
        ("input('?')", 1, "give the value in inputs"),
        ("tools.web_search(query='x')", 1, "this node has no tool web_search; it has: none"),
        ("raise ValueError('no\\nway')", 1, "way"),
        ("class E(Exception):\n    def __str__(self): raise self\nraise E()", 3, "E"),
    ],
)
def test_errors_say_line_and_fix(box: Box, code: str, line: int, part: str) -> None:
    error = fails(box, code)
    assert error.line == line
    assert part in str(error)
    assert f"line {line}" in str(error)
    assert error.fix
    assert not isinstance(error, ToolRetry)


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("result = {'a': [1, {2, 3}]}", "result['a'][1] is of type set"),
        ("import datetime\nresult = datetime.date(2024, 1, 1)", "result is of type date"),
        ("result = [1.0, float('inf')]", "result[1] is inf"),
        ("result = {(1, 2): 3}", "result has the key (1, 2), a tuple"),
        ("result = 10 ** 5000", "whole number of over 4300 digits"),
        ("result = b'x'", "of type bytes"),
        ("result = '\\ud800'", "not valid Unicode"),
        ("result = lambda: 0", "of type function"),
    ],
)
def test_a_result_that_json_cannot_hold_is_named(box: Box, code: str, part: str) -> None:
    assert part in str(fails(box, code))


def test_what_was_printed_before_an_error_is_kept(box: Box) -> None:
    assert fails(box, "print('so far')\n1 / 0").stdout == "so far\n"
    assert fails(box, "print('so far', flush=True)\nwhile True: pass", timeout=0.2).stdout == "so far\n"


def test_printing_too_much_is_cut_and_said(box: Box) -> None:
    done = box.run("for i in range(100_000): print(i)\nresult = 'done'")
    assert done.result == "done"
    assert done.stdout.startswith("0\n1\n2\n")
    assert done.stdout.endswith("… (cut after 64 kB)\n")
    assert len(done.stdout) < 66_000


def test_allowed_modules(box: Box) -> None:
    assert box.run("import math; result = math.floor(1.5)", allowed_modules=["math"]).result == 1
    error = fails(box, "import json", allowed_modules=["math"])
    assert "json is not among this node's allowed_modules (math)" in str(error)
    # What a module of the standard library needs itself is not the code's import.
    assert box.run("import csv; result = csv.__name__", allowed_modules=["csv"]).result == "csv"
    assert "native or container tier" in str(fails(box, "import numpy", allowed_modules=["numpy"]))


def test_tools_are_functions(box: Box) -> None:
    async def call(name: str, args: dict[str, Any]) -> Any:
        if args.get("fail"):
            raise (ToolRetry if args["fail"] == "retry" else ToolError)("The page is gone.", "Use another.")
        return {"name": name, **args}

    def run(code: str) -> Any:
        return box.run(code, tools=["look_up", "other"], call_tool=call).result

    assert run("result = [tools.look_up(q=i)['q'] for i in range(3)]") == [0, 1, 2]
    assert run("try:\n    tools.other(fail=1)\nexcept tools.ToolError as e:\n    result = str(e)") == (
        "The page is gone. Use another."
    )
    error = fails(box, "tools.look_up(fail='yes')", tools=["look_up"], call_tool=call)
    assert "The page is gone." in str(error)
    assert not isinstance(error, ToolRetry)
    assert isinstance(
        fails(box, "tools.look_up(fail='retry')", tools=["look_up"], call_tool=call), SandboxRetry
    )
    assert "by name" in str(fails(box, "tools.look_up(1)", tools=["look_up"], call_tool=call))
    assert "cannot be handed over" in str(
        fails(box, "tools.look_up(x={1})", tools=["look_up"], call_tool=call)
    )
    assert "has no tool x; it has: look_up" in str(fails(box, "tools.x()", tools=["look_up"], call_tool=call))


def test_a_tool_that_breaks_by_surprise_passes_through_and_the_sandbox_goes_on(box: Box) -> None:
    async def call(name: str, args: dict[str, Any]) -> Any:
        raise ZeroDivisionError("a fault of the tool")

    with pytest.raises(ZeroDivisionError):
        box.run("tools.x()", tools=["x"], call_tool=call)
    assert box.run("result = 1").result == 1


def test_waiting_for_a_tool_does_not_count(box: Box) -> None:
    import asyncio

    async def call(name: str, args: dict[str, Any]) -> Any:
        await asyncio.sleep(1.5)
        return "slow"

    done = box.run("result = tools.x()", tools=["x"], call_tool=call, timeout=0.8)
    assert done.result == "slow"
    late = "tools.x()\nwhile True: pass"
    assert "did not end within 0.4 s" in str(fails(box, late, tools=["x"], call_tool=call, timeout=0.4))


def test_limits_are_said_as_such(box: Box) -> None:
    error = fails(box, "while True: pass", timeout=0.2)
    assert "did not end within 0.2 s" in str(error)
    assert "sandbox.timeout" in str(error)
    error = fails(box, "x = 1\ny = bytearray(10**9)", memory_mb=64)
    assert "more memory in line 2" in str(error)
    assert "sandbox.max_memory_mb" in str(error)
    assert box.run("result = len(bytearray(10**8))", memory_mb=256).result == 10**8


def test_inputs_that_json_cannot_hold_are_refused_before_anything_runs(box: Box) -> None:
    assert "cannot be handed over" in str(fails(box, "result = 1", inputs={"a": {1, 2}}))
    assert "larger than" in str(fails(box, "result = 1", inputs={"a": "x" * (17 << 20)}))


def test_large_inputs_and_results(box: Box) -> None:
    big = [f"line {i}" for i in range(100_000)]
    assert box.run("result = inputs['big'][::-1]", {"big": big}).result == big[::-1]


@given(values)
def test_small_is_small(value: Any) -> None:
    assert is_small(value)
    assert not is_small({"a": value, "b": "x" * 200_000})
    assert not is_small([[value] * 20_000])


def test_runs_take_place_side_by_side_and_each_sees_its_own_inputs(box: Box) -> None:
    code = "import time\ntime.sleep(0.01)\nresult = inputs['i']"
    runs = [box.start(code, {"i": i}) for i in range(30)]
    assert [run.result(60).result for run in runs] == list(range(30))
    assert len(box.workers()) <= 2


def test_nothing_is_left_for_the_next_run(box: Box) -> None:
    """Poison everything that a run could share with the next one, and look for what another run has left."""
    poison = """
import builtins, sys, json, gc, random
secret = 'left-behind-' + '4711'
builtins.len = builtins.print = builtins.sorted = lambda *a: secret
builtins.left = secret
sys.modules['json'].dumps = sys.modules['json'].loads
sys.modules['left'] = secret
json.left = secret
sys.stdout = None
sys.settrace(lambda *a: None)
sys.setrecursionlimit(50)
random.random = lambda: 4
dict_of_guest = sys.modules['tools.sandbox.guest.app'].__dict__
dict_of_guest['run_code'] = lambda *a: '{"ok": true, "has_result": true, "names": {}, "result": "poisoned"}'
sys.modules['wit_world'].host = lambda *a: 'poisoned'
"""
    search = """
import builtins, sys, json, gc, random
found = [repr(o)[:50] for o in gc.get_objects() if isinstance(o, str) and 'left-behind-4' in o]
found += [n for n in ('left',) if n in sys.modules or hasattr(builtins, n) or hasattr(json, n)]
print(len([1, 2, 3]), sorted([2, 1]))
result = [found, sys.getrecursionlimit() >= 1000, random.random() != 4, 'x' in globals()]
"""
    for _ in range(6):
        fails(box, poison + "x = 1\n1 / 0") if _ % 2 else _ended(box, poison)
        done = box.run(search)
        assert done.result == [[], True, True, False]
        assert done.stdout == "3 [1, 2]\n"


def _ended(box: Box, code: str) -> None:
    """Run code that breaks its own guest, whatever comes of it."""
    try:
        box.run(code)
    except SandboxError:
        return


def test_many_runs_do_not_grow_the_worker(box: Box) -> None:
    import psutil

    def resident() -> int:
        return sum(int(psutil.Process(pid).memory_info().rss) for pid in box.workers())

    code = "result = len([x * x for x in range(2_000)])"
    for _ in range(40):
        box.run(code)
    before = resident()
    for _ in range(150):
        box.run(code)
    assert resident() - before < 20 << 20


def test_the_loop_is_free_while_code_runs(box: Box) -> None:
    ticks: list[float] = []
    stop = threading.Event()

    def tick() -> None:
        ticks.append(time.monotonic())
        if not stop.is_set():
            box.loop.call_later(0.01, tick)

    box.loop.call_soon_threadsafe(tick)
    fails(box, "while True: pass", timeout=0.5)
    stop.set()
    assert len(ticks) > 15
