"""Causes of a vLLM server's end, read from its log: one line each, with what to do.

The patterns are the wording of vLLM 0.33, transformers 5 and huggingface_hub 2. A cause that none
of :data:`KNOWN` matches is quoted from the log.
"""

import re

GATED = (
    "the hub refuses access to this model: accept its licence on its page, and put a token that "
    "may read it into HF_TOKEN"
)

KNOWN: tuple[tuple[str, str], ...] = (
    (
        r"Free memory on device \S* ?\(([\d.]+)/([\d.]+) GiB\) on startup is less than desired GPU "
        r"memory utilization \(([\d.]+), ([\d.]+) GiB\)",
        "the GPU has {0} of {1} GiB free, and gpu_memory_utilization {2} asks for {3} GiB: end "
        "what else is on the GPU, lower gpu_memory_utilization, or take a larger GPU",
    ),
    (
        r"No available memory for the cache blocks",
        "the model's weights leave no memory for its cache: raise gpu_memory_utilization, or take "
        "a larger GPU",
    ),
    (
        r"max seq len \((\d+)\), \(([\d.]+) GiB KV cache is needed, which is larger than the "
        r"available KV cache memory \(([\d.]+) GiB\)",
        "one prompt of max_model_len {0} needs {1} GiB of cache and {2} GiB are left: raise "
        "gpu_memory_utilization, lower max_model_len, or take a larger GPU",
    ),
    (
        r"CUDA out of memory|torch\.(?:cuda\.)?OutOfMemoryError|CUDA error: out of memory",
        "the GPU is out of memory: lower gpu_memory_utilization or max_model_len, end what else is "
        "on the GPU, or take a larger GPU",
    ),
    (
        r"Failed to infer device type|No CUDA GPUs are available|Found no NVIDIA driver",
        "it finds no GPU here: run the job where there is one, or use a scorer of backend openai",
    ),
    (r"gated repo|GatedRepoError", GATED),
    (
        r"(\S+) is not a valid git identifier|Revision Not Found",
        "the model has no such revision: correct revision",
    ),
    (
        r"is not a local folder (?:and is not a valid model|or a valid repository)|"
        r"Repository Not Found|RepositoryNotFoundError",
        "the hub has no such model, or shows it only with a token: correct model, or put a "
        "token that may read it into HF_TOKEN",
    ),
    (r"401 Client Error|401 Unauthorized|403 Client Error", GATED),
    (
        r"We couldn't connect to|outgoing traffic has been disabled|LocalEntryNotFoundError|"
        r"Name or service not known|Temporary failure in name resolution",
        "it cannot reach the hub and has no copy of the model: fetch the model beforehand (hf "
        "download), or give model as a folder",
    ),
    (r"No space left on device", "a disk is full: free some space below HF_HOME"),
    (r"error: (unrecognized arguments: .+|argument .+)", "it refuses its arguments ({0})"),
)
"""Pattern in the log -> cause and remedy; the first that matches counts."""
PORT = re.compile(r"Address already in use|\[Errno 98\]|EADDRINUSE")
"""Another process took the port between its choice and its use."""

PREFIX = re.compile(r"^(\(\w+(?:_\w+)* pid=\d+\) )?((?:INFO|WARNING|ERROR) \S+ \S+ \[\S+\] )?")
"""What vLLM puts before every line: process, level, time and place."""
ERROR = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Exit): \S")


def cause(log: str, code: int | None) -> str:
    """Why the server ended, from its log and exit code; without a full stop at the end."""
    for pattern, line in KNOWN:
        match = re.search(pattern, log)
        if match:
            return line.format(*match.groups())
    lines = [PREFIX.sub("", line).strip() for line in log.splitlines()]
    errors = [line for line in lines if ERROR.match(line) and "See root cause above" not in line]
    if errors:
        return errors[0][:300]
    if code == 137:
        return "it was killed (signal 9), as for want of memory: give the rule more mem_mb"
    written = [line for line in lines if line]
    return f"its last words are {written[-1][:300]!r}" if written else "its log is empty"
