"""A program that stands in README, built by README's command: as it is there, and once more between what counts what
it leaves (regress/real/counted_main.cpp)."""
import re
import subprocess

import traffic

HERE = traffic.ROOT / "regress/real"
COMPILER = "x86_64-w64-mingw32-gcc"


def run(command, folder):
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)
    traffic.require(done.returncode == 0, f"{' '.join(map(str, command))}: {(done.stdout + done.stderr).strip()[-600:]}")


def install(folder):
    run(["cmake", "--install", traffic.BUILD, "--prefix", folder / "install"], folder)


def build(section, folder, most_lines, changes=()):
    """Of the section with that title: folder/plain.exe and folder/counted.exe. `changes` are pairs of texts: the first
    stands in the program once, and becomes the second. How many lines it has."""
    readme = (traffic.ROOT / "README.md").read_text()
    program = re.search(rf"^### {section}$.*?^```c\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL).group(1)
    lines = program.count("\n")
    traffic.require(lines < most_lines, f"the program has {lines} lines")
    for before, after in changes:
        traffic.require(program.count(before) == 1, f"the program does not say {before!r} once")
        program = program.replace(before, after)
    (folder / "program.c").write_text(program)
    command = re.search(rf"^{COMPILER} .*$", readme, re.MULTILINE).group().split()
    install(folder)
    run([*command, "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-o", "plain.exe"], folder)
    parts = ("-Dmain=counted_main", "-c", "program.c", "-Iinstall/include", "-o", "program.o")
    run([command[0], *parts], folder)
    compiler = command[0].replace("gcc", "g++")
    sources = [HERE / "accounting.cpp", HERE / "counted_main.cpp", "program.o"]
    options = ["-std=c++17", "-fno-exceptions", "-fno-rtti"]
    at = command.index("program.c")
    run([compiler, *options, *command[1:at], *sources, *command[at + 1:], "-lpsapi", "-lntdll", "-o", "counted.exe"], folder)
    return lines
