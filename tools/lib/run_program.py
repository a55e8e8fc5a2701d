"""Runs a Windows program: on Windows as it is, elsewhere by tools/wine-run."""
import os
import pathlib
import subprocess

WINE_RUN = pathlib.Path(__file__).resolve().parents[1] / "wine-run"
STATUS_TIMEOUT = 124
STATUS_NOT_RUN = 125  # wine-run could not run it at all


def run_program(program, arguments, timeout, output, environment=None):
    """The program's exit status, or STATUS_TIMEOUT; what it prints goes to the open file `output`."""
    command = [str(program), *map(str, arguments)]
    if os.name != "nt":
        command = [str(WINE_RUN), "--timeout", str(timeout), *command]
    try:
        return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                              timeout=timeout if os.name == "nt" else None, check=False).returncode
    except subprocess.TimeoutExpired:
        return STATUS_TIMEOUT
