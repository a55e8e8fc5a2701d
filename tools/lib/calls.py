"""Counts the calls that programs under Wine make into its server, its stand-in for the NT kernel.

Wine's server prints every request when it is started for that, so the counting runs in a prefix of
its own. Such a count does not depend on how fast the machine is, or on what else it does.
"""
import os
import pathlib
import shutil
import subprocess
import tempfile

import traffic

WINE_DIR = pathlib.Path(os.environ.get("LIBEVENT_IOCP_WINE_DIR", traffic.ROOT / "build/wine"))
WINE_RUN = traffic.ROOT / "tools/wine-run"


class CallCounter:
    """A Wine prefix whose server counts; Server(..., wine_dir=folder) runs a program in it."""

    def __init__(self):
        self.folder = WINE_DIR.parent / (WINE_DIR.name + "-counting")
        self.prefix = self.folder / f"lane-{traffic.SERVER_LANE}"
        if not self.prefix.is_dir():
            self.make_prefix()
        self.environment = {**os.environ, "WINEPREFIX": str(self.prefix),
                            "LIBEVENT_IOCP_WINE_DIR": str(self.folder)}
        self.stop()  # one that an interrupted run has left
        self.log = tempfile.NamedTemporaryFile(prefix="libevent-iocp-", suffix=".calls")
        core = traffic.CORES[traffic.SERVER_LANE]
        self.server = subprocess.Popen(
            ["taskset", "-c", str(core), "wineserver", "--debug=1", "--foreground", "--persistent"],
            env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=self.log)
        # The first program starts Wine's services, which then stay.
        wineboot = self.prefix / "drive_c/windows/system32/wineboot.exe"
        subprocess.run([WINE_RUN, "--lane", str(traffic.SERVER_LANE), wineboot],
                       env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
                       check=False)

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

    def mark(self):
        """A moment, to count from or up to."""
        return os.path.getsize(self.log.name)

    def count(self, since, until):
        """Calls that were answered between two marks."""
        total, kept = 0, b""
        with open(self.log.name, "rb") as file:
            file.seek(since)
            while (left := until - file.tell()) > 0:
                block = kept + file.read(min(left, 1 << 22))
                total += block.count(b"() = ")
                kept = block[-4:]
        return total

    def text(self, since, until):
        """The trace itself between two marks."""
        with open(self.log.name, "rb") as file:
            file.seek(since)
            return file.read(until - since).decode(errors="replace")

    def stop(self):
        subprocess.run(["wineserver", "--kill"], env=self.environment, capture_output=True,
                       check=False)

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
