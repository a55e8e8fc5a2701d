#!/usr/bin/env python3
"""What other compilers say of our sources, with nothing built: clang as a cross compiler for mingw-w64 and in MSVC mode,
and gcc for 64 and for 32 bit (columns gcc and gcc-x86, where there is one: tools/in-debian13 has a newer one).

For MSVC mode there are no headers of Windows here. Wine's stand in for them, libstdc++'s for the C++ library, and
libevent's configuration for nmake for the one that is made on Windows. It shows what is GNU's alone and what differs in
the size of types, on x64, x86 and ARM64; not what MSVC's own headers, libraries and warnings would add.
"""

import argparse
import concurrent.futures
import glob
import json
import os
import shlex
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PRODUCT = ("backend", "bufferevent", "compat")
GNU_FLAGS = ("-Wlogical-op", "-Woverride-init", "-Wnormalized=id", "-fdiagnostics-color=always")

# What Wine's headers or libstdc++'s lack when they are read in MSVC mode.
ATOMIC_TYPES = "BOOL CHAR CHAR16_T CHAR32_T WCHAR_T SHORT INT LONG LLONG POINTER".split()
INTRINSICS = ("And64 CompareExchange128 CompareExchangePointer Decrement64 Exchange64 ExchangeAdd64 ExchangePointer "
              "Increment64 Or64 Xor64").split()
X86_ONLY_INTRINSICS = [name for name in INTRINSICS if name != "CompareExchange128"]
MSVC_DEFINES = ["__STRICT_ANSI__", "__GCC_ATOMIC_TEST_AND_SET_TRUEVAL=1", "WS_SO_PROTOCOL_INFOA=0x2004",
                "FILE_SKIP_COMPLETION_PORT_ON_SUCCESS=1", "FILE_SKIP_SET_EVENT_ON_HANDLE=2", "WINE_UNICODE_NATIVE",
                "timerisset(t)=((t)->tv_sec || (t)->tv_usec)", "EVENT__HAVE_OPENSSL=1",
                "EVENT__HAVE_STDINT_H=1"] + [
                    f"__GCC_ATOMIC_{name}_LOCK_FREE=2" for name in ATOMIC_TYPES]
GCC = {"gcc": "x86_64", "gcc-x86": "i686"}
MSVC_TARGETS = {"msvc-x64": "x86_64", "msvc-x86": "i686", "msvc-arm64": "aarch64"}


def libstdcxx():
    found = glob.glob("/usr/lib/gcc/x86_64-w64-mingw32/*-posix/include/c++")
    if not found:
        sys.exit("check_compilers: mingw-w64's libstdc++ is not there: run tools/setup")
    return [found[-1], found[-1] + "/x86_64-w64-mingw32"]


def clang_headers():
    return subprocess.run(["clang", "-print-resource-dir"], capture_output=True, text=True,
                          check=True).stdout.strip() + "/include"


def included(folders):
    return [part for folder in folders for part in ("-isystem", folder)]


def own_compilations(build):
    """Source file and compiler's arguments, of each of our own."""
    database = os.path.join(build, "compile_commands.json")
    if not os.path.exists(database):
        sys.exit(f"check_compilers: no {database}: run tools/test build")
    with open(database, encoding="utf-8") as file:
        commands = {entry["file"]: entry for entry in json.load(file)}
    for path, entry in sorted(commands.items()):
        name = os.path.relpath(path, ROOT)
        if not name.startswith(("build", "..")) and name.endswith((".c", ".cpp")):
            yield name, shlex.split(entry["command"])


def kept_arguments(arguments):
    kept = []
    following = False
    for argument in arguments:
        if following:
            kept.append(argument)
        following = argument in ("-isystem", "-include", "-I", "-D")
        if following or argument.startswith(("-I", "-D", "-std", "-f", "-W")):
            kept.append(argument)
    return kept


def libevent_tree(arguments):
    """None for what does not use libevent."""
    return next((argument[:-len("/WIN32-Code")] for argument in arguments if argument.endswith("/WIN32-Code")), None)


def compiler(name):
    return "clang++" if name.endswith(".cpp") else "clang"


# libevent's configuration is made for 64 bit; the one for nmake serves both.
def for_gcc(name, arguments, machine):
    tree = libevent_tree(arguments)
    first = [f"-I{tree}/WIN32-Code/nmake", "-DEVENT__HAVE_OPENSSL=1", "-DEVENT__HAVE_STDINT_H=1"] if tree else []
    return [f"{machine}-w64-mingw32-" + ("g++" if name.endswith(".cpp") else "gcc") + "-posix", "-O2", "-c", "-o", "/dev/null",
            *(first if machine == "i686" else []), *kept_arguments(arguments), name]


def for_mingw(name, arguments):
    headers = included(libstdcxx() if name.endswith(".cpp") else []) + included(["/usr/share/mingw-w64/include"])
    kept = [argument for argument in kept_arguments(arguments) if argument not in GNU_FLAGS]
    return [compiler(name), "--target=x86_64-w64-mingw32", "-fsyntax-only", *kept, "-nostdinc++", *headers, name]


def for_msvc(name, arguments, machine, wine):
    libevent = libevent_tree(arguments)
    of_libevent = ("-DLIBEVENT_HAS_", "-D_CRT_")
    defines = MSVC_DEFINES + [argument[2:] for argument in arguments if argument.startswith(of_libevent)]
    renamed = X86_ONLY_INTRINSICS if machine == "i686" else ["CompareExchange128"]
    defines += [f"_Interlocked{each}=wine_Interlocked{each}" for each in renamed]
    headers = [clang_headers(), f"{wine}/msvcrt", f"{wine}/windows", *libstdcxx(), f"{libevent}/WIN32-Code/nmake", f"{libevent}/include",
               libevent, f"{libevent}/compat", f"{libevent}/WIN32-Code", f"{ROOT}/build/deps/openssl/include"]
    return [compiler(name), f"--target={machine}-pc-windows-msvc", "-fsyntax-only", "-fms-compatibility-version=19.29",
            *(["-std=c++17", "-fno-exceptions", "-fno-rtti"] if name.endswith(".cpp") else []), "-ffreestanding", "-Wall", "-Wextra", "-Werror", "-nostdinc++", "-DHAVE_CONFIG_H",
            *[f"-D{each}" for each in defines], f"-I{ROOT}", f"-I{ROOT}/bufferevent/include", *included(headers), name]


def run(column, command):
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return column, command[-1], outcome.returncode, outcome.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "mingw"), help="a build, for its list of sources")
    parser.add_argument("--headers", default=os.path.join(ROOT, "build", "deps", "wine-headers"),
                        help="Wine's headers (see tools/setup --headers); without them MSVC mode is skipped")
    parser.add_argument("--columns", default="mingw," + ",".join(MSVC_TARGETS), help="default: %(default)s")
    parser.add_argument("--product", action="store_true", help="the library's own sources, and no tests or benchmarks")
    options = parser.parse_args()
    columns = options.columns.split(",")
    known = ["mingw", *GCC, *MSVC_TARGETS]
    unknown = [column for column in columns if column not in known]
    if unknown:
        parser.error(f"no column {unknown[0]}: there are {', '.join(known)}")
    if not os.path.isdir(options.headers) and any(column in MSVC_TARGETS for column in columns):
        print("check_compilers: MSVC mode is skipped: no Wine headers")
        columns = [column for column in columns if column not in MSVC_TARGETS]
    jobs = []
    for name, arguments in own_compilations(options.build):
        is_product = name.split("/")[0] in PRODUCT
        if "mingw" in columns and (is_product or not options.product):
            jobs.append(("mingw", for_mingw(name, arguments)))
        jobs += [(column, for_gcc(name, arguments, GCC[column])) for column in columns
                 if column in GCC and (is_product or not options.product)]
        for column in columns:
            if column in MSVC_TARGETS and is_product:
                jobs.append((column, for_msvc(name, arguments, MSVC_TARGETS[column], options.headers)))
    counts = {column: 0 for column in columns}
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for column, name, status, text in pool.map(lambda job: run(*job), jobs):
            counts[column] += 1
            if status != 0 or text:
                failed += 1
                print(f"--- {column}: {name}\n{text}", end="")
    print("compilers: " + ", ".join(f"{count} sources for {column}" for column, count in counts.items())
          + f"; {failed} with warnings or errors")
    return 1 if failed or not jobs else 0


if __name__ == "__main__":
    sys.exit(main())
