#!/usr/bin/env bash
# Makes .venv from envs/ledger.lock; a second run does nothing. Every failure is one line.
set -euo pipefail

cd "$(dirname "$0")/.."
python=${PYTHON:-python3.11}
torch="torch==2.13.0"
needed_gib=8
log=.venv/setup.log

stop() { echo "setup: $*" >&2; exit 1; }

plugin=plugins/snakemake-executor-plugin-modal
stamp=.venv/ready-$( (echo "$torch"; cat envs/ledger.lock pyproject.toml "$plugin/pyproject.toml"; pwd) | sha256sum | cut -c1-16)
[ -f "$stamp" ] && exit 0

command -v "$python" >/dev/null || python=python3
command -v "$python" >/dev/null || stop "no Python found; install Python 3.11, or name one: make PYTHON=/path/to/python3.11"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
[ "$version" = 3.11 ] || stop "$python is Python $version, and the lock file is for 3.11; install it, or name one: make PYTHON=/path/to/python3.11"
free=$(df -Pk . | awk 'NR==2 {print int($4 / 1048576)}')
[ "$free" -ge "$needed_gib" ] || stop "this disk has $free GiB free and the environment needs up to $needed_gib GiB; free some space and run again"

echo "setup: making .venv (a few minutes, once)"
"$python" -m venv .venv || stop "could not make .venv; on Debian and Ubuntu install python3.11-venv"
install() { .venv/bin/python -m pip install --disable-pip-version-check --quiet "$@" >>"$log" 2>&1 || stop "pip could not install ${*: -1} ($(tail -n 1 "$log" | cut -c1-160)); check the network and run again (details: $log)"; }
: >"$log"
echo "setup: 1/3 torch"; install "$torch"
echo "setup: 2/3 everything in envs/ledger.lock"; install --no-deps -r envs/ledger.lock
echo "setup: 3/3 latent-ledger itself and its plugin"; install --no-deps --no-build-isolation -e .
install --no-deps --no-build-isolation -e "$plugin"
rm -f .venv/ready-*
touch "$stamp"
echo "setup: done"
