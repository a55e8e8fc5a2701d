"""What Linux tells of a process."""
import contextlib
import pathlib
import re


def process_state(pid):
    """S for one that sleeps."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def processor_ticks(pid):
    """The time that a process has had, in hundredths of a second."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def descendants(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                found += [int(child), *descendants(child)]
    return found


def private_bytes(pid):
    """Memory that a process shares with nobody, what Wine keeps in it included."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return 1024 * sum(int(re.search(rf"^{name}:\s*(\d+) kB", status, re.MULTILINE).group(1))
                      for name in ("RssAnon", "VmSwap"))
