"""Counts what a program under Wine asks of the system, in two ways at once.

NT calls: the calls into ntdll that end in the kernel. Windows executes nearly the same ones, so that
their number carries over. Wine's relay trace names each in the program's standard error.
Requests: those to Wine's server, its stand-in for the kernel, which prints every one when it is started
for that; so the counting runs in a prefix of its own. Neither count depends on how fast the machine
is, or on what else it does.
"""
import collections
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import processes
import traffic

WINE_DIR = pathlib.Path(os.environ.get("LIBEVENT_IOCP_WINE_DIR", traffic.ROOT / "build/wine"))
WINE_RUN = traffic.ROOT / "tools/wine-run"

# Not in it are those that Windows answers without its kernel (NtQueryPerformanceCounter,
# NtQuerySystemTime), and NtOpenEvent, which the benchmarks' marks make. ntdll's calls to itself are not
# seen.
NT_CALLS = """
NtCreateFile NtOpenFile NtReadFile NtReadFileScatter NtWriteFile NtWriteFileGather NtDeviceIoControlFile
NtFsControlFile NtCancelIoFile NtCancelIoFileEx NtCancelSynchronousIoFile NtFlushBuffersFile NtLockFile
NtUnlockFile NtQueryInformationFile NtSetInformationFile NtQueryVolumeInformationFile
NtQueryAttributesFile NtQueryFullAttributesFile NtQueryDirectoryFile NtCreateNamedPipeFile
NtCreateIoCompletion NtOpenIoCompletion NtQueryIoCompletion NtRemoveIoCompletion NtRemoveIoCompletionEx
NtSetIoCompletion NtWaitForSingleObject NtWaitForMultipleObjects NtSignalAndWaitForSingleObject
NtDelayExecution NtYieldExecution NtWaitForAlertByThreadId NtAlertThreadByThreadId NtAlertThread
NtTestAlert NtWaitForKeyedEvent NtReleaseKeyedEvent NtQueueApcThread NtCreateEvent NtSetEvent
NtResetEvent NtClearEvent NtPulseEvent NtQueryEvent NtCreateMutant NtReleaseMutant NtCreateSemaphore
NtReleaseSemaphore NtCreateTimer NtSetTimer NtCancelTimer NtQueryTimer NtSetTimerResolution
NtQueryTimerResolution NtClose NtDuplicateObject NtQueryObject NtSetInformationObject NtCompareObjects
NtAllocateVirtualMemory NtAllocateVirtualMemoryEx NtFreeVirtualMemory NtProtectVirtualMemory
NtQueryVirtualMemory NtCreateSection NtOpenSection NtMapViewOfSection NtMapViewOfSectionEx
NtUnmapViewOfSection NtUnmapViewOfSectionEx NtFlushVirtualMemory NtCreateThread NtCreateThreadEx
NtTerminateThread NtResumeThread NtSuspendThread NtQueryInformationThread NtSetInformationThread
NtQueryInformationProcess NtSetInformationProcess NtQuerySystemInformation NtOpenKey NtOpenKeyEx
NtCreateKey NtQueryValueKey NtQueryKey NtEnumerateKey NtEnumerateValueKey NtSetValueKey
""".split()
RELAYED = ";".join(["kernel32.OpenEventW", *(f"ntdll.{name}" for name in NT_CALLS)])


@dataclasses.dataclass
class Counts:
    """What happened in a stretch of a program's life."""
    calls: collections.Counter  # NT calls by name
    requests: collections.Counter  # requests to Wine's server by name
    packets: int = 0  # that were taken from completion ports

    def plus(self, other, times=1):
        for mine, theirs in ((self.calls, other.calls), (self.requests, other.requests)):
            for name, count in theirs.items():
                mine[name] += times * count
        self.packets += times * other.packets


def no_counts():
    return Counts(collections.Counter(), collections.Counter())


def count(relay, requests):
    """Counts in a stretch of either trace."""
    return Counts(collections.Counter(re.findall(r":Call ntdll\.(\w+)\(", relay)),
                  collections.Counter(re.findall(r" (\w+)\(\) = ", requests)),
                  requests.count(" remove_completion() = 0"))


def count_between_marks(relay, requests):
    """Counts for each stretch between two marks of the program (see tools/benchmarks/common/main.cpp)."""
    relay_parts = re.split(r':Call KERNEL32\.OpenEventW\(.*L"bench-mark-\d+"', relay, flags=re.IGNORECASE)
    request_parts = re.split(r"bench-mark-\d+", requests)
    traffic.require(len(relay_parts) == len(request_parts),
                    f"{len(relay_parts) - 1} marks in one trace, {len(request_parts) - 1} in the other")
    return [count(*both) for both in zip(relay_parts[1:-1], request_parts[1:-1])]


class CallCounter:
    """A Wine prefix that counts; Server(..., counter=it) runs a program in it, as does `environment`."""

    def __init__(self):
        self.folder = WINE_DIR.parent / (WINE_DIR.name + "-counting")
        self.prefix = self.folder / f"lane-{traffic.SERVER_LANE}"
        if not self.prefix.is_dir():
            self.make_prefix()
        self.plain = {**os.environ, "WINEPREFIX": str(self.prefix),
                      "LIBEVENT_IOCP_WINE_DIR": str(self.folder)}
        self.variables = {"LIBEVENT_IOCP_WINE_DIR": str(self.folder), "WINEDEBUG": "-all,+relay"}
        self.environment = {**self.plain, **self.variables}
        self.stop()  # one that an interrupted run has left
        self.choose_relayed()
        self.is_settled = False  # the last program has closed all that it had: there is nothing to wait for
        self.log = tempfile.NamedTemporaryFile(prefix="libevent-iocp-", suffix=".calls")
        self.server = None
        self.start()

    def start(self):
        core = traffic.CORES[traffic.SERVER_LANE]
        with open(self.log.name, "ab") as log:
            self.server = subprocess.Popen(
                ["taskset", "-c", str(core), "wineserver", "--debug=1", "--foreground", "--persistent"],
                env=self.plain, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
        # The first program starts Wine's services, which then stay.
        wineboot = self.prefix / "drive_c/windows/system32/wineboot.exe"
        subprocess.run([WINE_RUN, "--lane", str(traffic.SERVER_LANE), wineboot],
                       env=self.plain, stdin=subprocess.DEVNULL, capture_output=True, check=False)

    def settle(self):
        """Between two programs: starts the server anew if it is busy with nothing to do. One that a
        program left in mid-work keeps the sockets of that, and is told for ever that they are readable."""
        if self.is_settled:
            self.is_settled = False
            return
        before = processes.processor_ticks(self.server.pid)
        for _ in range(10):
            time.sleep(0.1)
            now = processes.processor_ticks(self.server.pid)
            if now == before:
                return
            before = now
        self.stop()
        self.server.wait()
        self.start()

    def make_prefix(self):
        """As tools/wine-run does it: Wine's own files are links, the rest is copied."""
        template = WINE_DIR / "template"
        if not template.is_dir():
            subprocess.run([WINE_RUN, "--start"], check=True, stdin=subprocess.DEVNULL)
        new = self.folder / "new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        for source in template.iterdir():
            if source.name != "drive_c":
                subprocess.run(["cp", "-a", source, new], check=True)
        (new / "drive_c").mkdir()
        for source in (template / "drive_c").iterdir():
            how = "-al" if source.name == "windows" else "-a"
            subprocess.run(["cp", how, source, new / "drive_c"], check=True)
        new.rename(self.prefix)

    def choose_relayed(self):
        """Writes into the registry of the prefix, whose server is down, which calls the trace names."""
        registry = self.prefix / "user.reg"
        text = re.sub(r'^"Relay\w+"=.*\n', "", registry.read_text(), flags=re.MULTILINE)
        values = f'"RelayInclude"="{RELAYED}"\n"RelayFromExclude"="none"\n'
        text, found = re.subn(r"^\[Software\\\\Wine\\\\Debug\].*\n(#.*\n)*", lambda match: match[0] + values,
                              text, flags=re.MULTILINE)
        if not found:
            text += f"\n[Software\\\\Wine\\\\Debug]\n{values}"
        registry.write_text(text)

    def mark(self):
        """A moment in the trace of requests, to count from or up to."""
        return os.path.getsize(self.log.name)

    def text(self, since, until):
        """That trace between two marks."""
        with open(self.log.name, "rb") as file:
            file.seek(since)
            return file.read(until - since).decode(errors="replace")

    def stop(self):
        subprocess.run(["wineserver", "--kill"], env=self.plain, capture_output=True, check=False)

    def close(self):
        self.stop()
        try:
            self.server.wait(10)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
