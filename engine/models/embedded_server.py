"""The process that holds the embedded model: llama.cpp's server over one GGUF file. Started by `embedded.py`.

A process of its own, because making the server holds Python's lock for half a second, and closing it while
it generates holds it for ever. It imports nothing of this project, and ends when its standard input does:
also when the parent is killed. It is told {path, sha256, api_key, cache_prompt} in one line, and answers with
lines of JSON: {fraction, detail} while it loads, then {address}, or {error, fix}.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

CONTEXT_TOKENS = 4096
# Of the time until it is ready, about this share goes into reading and checking the file.
_CHECK_SHARE = 0.3


def say(**fields: Any) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def check_file(path: Path, wanted: str) -> bool:
    """Whether the file's SHA-256 is the one that is wanted; tells how far it is."""
    digest, size, done = hashlib.sha256(), path.stat().st_size, 0
    with path.open("rb") as file:
        while block := file.read(8 * 1024 * 1024):
            digest.update(block)
            done += len(block)
            say(fraction=round(_CHECK_SHARE * done / size, 3), detail="Checking the model's file")
    return digest.hexdigest() == wanted


def make_server(path: Path, api_key: str, cache_prompt: bool) -> Any:
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = str(path)
    params.model_alias = {"smollm2-135m-instruct"}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [api_key]
    params.n_ctx = CONTEXT_TOKENS
    params.n_batch = 512
    params.n_parallel = 1
    # Two threads on a busy machine of two cores fall to a tenth of the speed of one.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.n_threads_http = 2
    params.cache_prompt = cache_prompt
    params.cache_ram_mib = 0
    params.ui = False
    params.verbosity = 1
    return Server(params)


def main() -> None:
    told = json.loads(sys.stdin.readline())
    path = Path(told["path"])
    if not check_file(path, told["sha256"]):
        say(error=f"The file {path.name} is not the right one.", fix="Run `make clean`, then `make run`.")
        return
    say(fraction=_CHECK_SHARE, detail="Loading the model")
    server = make_server(path, told["api_key"], told["cache_prompt"])
    say(address=server.listening_address)
    sys.stdin.read()
    # No tidy end: taking the server apart while it generates would hang.
    os._exit(0)


if __name__ == "__main__":
    main()
