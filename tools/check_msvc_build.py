#!/usr/bin/env python3
"""What CMake would tell MSVC to do, with nothing built: clang as cl is configured for, and the commands are read.

Forced headers and renamed symbols have to be those of the MinGW build, the libraries event_core.lib and so on, everything
has to have one runtime (/MD as a rule, /MT where that is asked for), and our own sources no option that is GNU's alone. In
both builds a warning in our sources has to be an error, and no .pc file may name a library as only MinGW has it.
libevent's checks run without Windows's headers; what they find is of no matter here.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RUNTIMES = {"MultiThreadedDLL": "-MD", "MultiThreaded": "-MT"}
LIBRARIES = ["event_core.lib", "event_extra.lib", "event.lib", "event_openssl.lib"]
LIBRARY_FOLDERS = ("backend/", "bufferevent/", "compat/")
PKG_CONFIG_FILES = ["libevent.pc", "libevent_core.pc", "libevent_extra.pc", "libevent_openssl.pc"]
SYSTEM_LIBRARIES = {"advapi32", "crypt32", "gdi32", "iphlpapi", "shell32", "user32", "ws2_32"}
GNU = re.compile(r"-(f|W|m|g|O|pthread|pipe|static|include|std=)")
OF_CMAKE = ("--target=", "-MD", "-MT", "-std:", "-TP", "-imsvc", "-I", "-D", "-c")
LIBRARIAN = """#!/bin/sh
# As lib.exe is called: /OUT:file object...
for each; do
    case $each in
        /[Oo][Uu][Tt]:*) out=${each#/*:} ;;
        /*.lib | /*.obj | [!/]*) set -- "$@" "$each" ;;
    esac
    shift
done
cat "$@" >"$out"
"""
TOOLCHAIN = """set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR AMD64)
foreach(language C CXX)
    set(CMAKE_${{language}}_COMPILER "{folder}/clang-cl")
    set(CMAKE_${{language}}_COMPILER_TARGET x86_64-pc-windows-msvc)
    set(CMAKE_${{language}}_COMPILER_WORKS 1)
endforeach()
set(CMAKE_AR "{folder}/librarian")
set(CMAKE_LINKER "{folder}/clang-cl") # never called
set(CMAKE_RC_COMPILER "{folder}/clang-cl")
set(CMAKE_RC_COMPILER_WORKS 1)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
"""


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def write_toolchain(folder):
    os.makedirs(folder, exist_ok=True)
    clang = shutil.which("clang")
    if clang is None:
        sys.exit("check_msvc_build: no clang: run tools/setup")
    link = os.path.join(folder, "clang-cl")
    if not os.path.lexists(link):
        os.symlink(os.path.realpath(clang), link)
    write(os.path.join(folder, "librarian"), LIBRARIAN)
    os.chmod(os.path.join(folder, "librarian"), 0o755)
    write(os.path.join(folder, "toolchain.cmake"), TOOLCHAIN.format(folder=folder))
    return os.path.join(folder, "toolchain.cmake")


def configure(build, toolchain, runtime, source):
    deps = os.path.join(ROOT, "build", "deps")
    wanted = {
        "CMAKE_TOOLCHAIN_FILE": toolchain, "CMAKE_BUILD_TYPE": "Release", "CMAKE_EXPORT_COMPILE_COMMANDS": "ON",
        "CMAKE_MSVC_RUNTIME_LIBRARY": runtime, "LIBEVENT_SOURCE_DIR": source, "LIBEVENT_IOCP_OPENSSL": "ON",
        "LIBEVENT_IOCP_WERROR": "ON",
        "CMOCKA_LIBRARY": f"{deps}/cmocka/lib/libcmocka.a", "OPENSSL_INCLUDE_DIR": f"{deps}/openssl/include",
        "LIB_EAY_RELEASE": f"{deps}/openssl/lib/libcrypto.a", "SSL_EAY_RELEASE": f"{deps}/openssl/lib/libssl.a"}
    outcome = subprocess.run(["cmake", "-S", ROOT, "-B", build, "-G", "Ninja"] + [f"-D{name}={value}" for name, value in wanted.items()],
                             capture_output=True, text=True, check=False)
    if outcome.returncode != 0:
        sys.exit(f"check_msvc_build: cannot configure:\n{outcome.stdout}{outcome.stderr}")


def compilations(build):
    """Source file, its target's folder and the compiler's arguments."""
    database = os.path.join(build, "compile_commands.json")
    if not os.path.exists(database):
        sys.exit(f"check_msvc_build: no {database}: run tools/test build")
    with open(database, encoding="utf-8") as file:
        for entry in json.load(file):
            command = entry["command"]
            target = re.search(r"(\S*CMakeFiles/[^/\s]+\.dir)", command)
            yield entry["file"], re.sub(r"^/Fo", "", target.group(1)), shlex.split(command)[1:]


def forced(build):
    """What is forced in front of which file, or renamed in it, by target."""
    found = set()
    for path, target, arguments in compilations(build):
        for index, argument in enumerate(arguments):
            if argument == "-include":
                found.add((target, os.path.basename(path), arguments[index + 1]))
            elif argument.startswith("/FI"):
                found.add((target, os.path.basename(path), argument[3:]))
            elif re.match(r"-D\w+=iocp_", argument):
                found.add((target, os.path.basename(path), argument))
    return found


def forgiven(build, flag):
    """Our sources in the library, whose warnings would be no errors."""
    for path, target, arguments in compilations(build):
        name = os.path.relpath(path, ROOT)
        if name.startswith(LIBRARY_FOLDERS) and name.endswith(".cpp") and flag not in arguments:
            yield f"{name} in {target}: without {flag}"


def strange_libraries(build):
    """What .pc files name that MSVC would not find: OpenSSL's are libssl.lib and libcrypto.lib there, which its own say."""
    for name in PKG_CONFIG_FILES:
        with open(os.path.join(build, "package", name), encoding="utf-8") as file:
            libraries = set(re.findall(r"(?<!\S)-l(\S+)", file.read()))
        for each in sorted(libraries - SYSTEM_LIBRARIES - {library[:-len(".lib")] for library in LIBRARIES}):
            yield f"{name} names -l{each}"


def complaints(build, mingw, runtime):
    ours = forced(mingw)
    if not ours:
        yield "the MinGW build forces no header at all"
    for target, name, what in sorted(ours ^ forced(build)):
        yield f"{name} in {target}: {what} is in one of the two builds alone"
    yield from forgiven(mingw, "-Werror")
    yield from forgiven(build, "/WX")
    yield from strange_libraries(build)
    sources = 0
    for path, target, arguments in compilations(build):
        has = sorted({argument for argument in arguments if argument in RUNTIMES.values()})
        if has != [RUNTIMES[runtime]]:
            yield f"{path} in {target}: runtime {has}, not {RUNTIMES[runtime]}"
        name = os.path.relpath(path, ROOT)
        if name.startswith(("build", "..")) or not name.endswith(".cpp"):
            continue
        sources += 1
        for argument in arguments:
            if GNU.match(argument) and not argument.startswith(OF_CMAKE):
                yield f"{name} in {target}: {argument} is GNU's"
    if sources == 0:
        yield "none of our sources is compiled"
    with open(os.path.join(build, "build.ninja"), encoding="utf-8") as file:
        made = {name for name in re.findall(r"^build lib/iocp/(\S+?):", file.read(), re.MULTILINE)}
    for name in sorted(made ^ set(LIBRARIES)):
        yield f"lib/iocp/{name} is " + ("not expected" if name in made else "not made")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "mingw"), help="the MinGW build to compare with")
    parser.add_argument("--source", help="libevent's tree (default: that of the MinGW build)")
    options = parser.parse_args()
    with open(os.path.join(options.build, "CMakeCache.txt"), encoding="utf-8") as file:
        cache = file.read()
    source = options.source or re.search(r"^LIBEVENT_SOURCE_DIR:\w+=(.*)$", cache, re.MULTILINE).group(1)
    build = os.path.join(ROOT, "build", "msvc-commands")
    toolchain = write_toolchain(build + "-tools")
    failed = False
    for runtime in RUNTIMES:
        configure(build, toolchain, runtime, source)
        for each in complaints(build, options.build, runtime):
            failed = True
            print(f"{runtime}: {each}")
    print("MSVC's commands: " + ("not as they should be" if failed else
                                 "forced headers, libraries, runtimes, options and .pc files are right"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
