"""A Modal server for tests: the real `modal` client talks to it, commands really run.

    from local_modal import LocalModal, SandboxFault

    with LocalModal(tmp_path / "modal") as server:
        server.secret("huggingface", HF_TOKEN="hf_x")        # define Secrets by name
        run(["snakemake", ...], env={**os.environ, **server.environment})
        server.volume("store")                              # folder: what is committed
        server.sandboxes[0].command, .tags, .gpu, .memory, .status, .returncode, .stdout
        server.images[-1].all_commands; server.rpc_counts["SandboxListV2"]
        server.faults.sandboxes.append(SandboxFault("oom", match="rule=train", after=0.2))
    with server.unreachable(): ...                          # it hangs up, Sandboxes go on

Both Sandbox backends exist: with a GPU create() blocks until a task is scheduled
(`faults.scheduling_seconds`), without one it answers at once. A Sandbox is a subprocess with a
clean environment; mount points, `/root`, `/tmp` and the working directory are rewritten to
private folders wherever they appear as plain text in arguments and environment variables (not
in files or base64, so hand paths over as arguments or variables). It sees a Volume as of its
start; others see its writes after `sync <mountpoint>` or its end (not after an eviction). `python`
is this machine's interpreter, image builds are recorded and not executed. The messages of errors
are invented where only Modal's servers know them; the exception types are the client's.
"""

from .faults import Faults, ImageFault, RpcFault, SandboxFault
from .server import LocalModal

__all__ = ["Faults", "ImageFault", "LocalModal", "RpcFault", "SandboxFault"]
