"""The watch over a command that must not outlive its job.

::

    job --pipe--> watch --starts--> command (and whatever it starts: one process group)

When the pipe closes, because the job closes it or was killed, the whole group gets
SIGTERM, and after a grace period SIGKILL. When the command ends by itself, the watch ends with
its exit code (128 + n after signal n). Standard library only: it is run as a file, not imported.
"""

import os
import select
import signal
import subprocess
import sys

LOOK = 0.2
"""Seconds between two looks at the command and the pipe."""


def main(grace: float, command: list[str]) -> int:
    """Run `command` until it ends or standard input closes; see the module's docstring."""
    # A handler, not SIG_IGN: the command would inherit that, and ignore it too.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as child:
        while child.poll() is None:
            closed, _, _ = select.select([0], [], [], LOOK)
            if closed and not os.read(0, 1):
                os.killpg(0, signal.SIGTERM)
                try:
                    child.wait(grace)
                finally:  # takes this process along
                    os.killpg(0, signal.SIGKILL)
        code = child.returncode
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
