#!/usr/bin/env python3
"""Installs our libraries and builds programs against the prefix as people build them against libevent.

usage: check_prefix.py --build FOLDER --work FOLDER --source LIBEVENT_SOURCE_DIR [--openssl PREFIX]

Each way builds the program timer.c, or the TLS server, with no word about ours in its build files, looks
at the DLLs that the program asks for, and runs it under Wine on select and on the port."""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HOST = "x86_64-w64-mingw32"
CC = f"{HOST}-gcc-posix"
SYSTEM_DLLS = {"advapi32.dll", "bcrypt.dll", "crypt32.dll", "gdi32.dll", "iphlpapi.dll", "kernel32.dll", "msvcrt.dll",
               "ntdll.dll", "shell32.dll", "user32.dll", "ws2_32.dll"}
# The runtime of the C compiler: libevent calls clock_gettime, which MinGW-w64 has there. No other DLL, and so none of C++.
C_RUNTIME_DLL = "libwinpthread-1.dll"
SYSTEM_LIBRARIES = ["-lws2_32", "-lshell32", "-ladvapi32", "-liphlpapi"]
LIBRARIES = ["libevent.a", "libevent_core.a", "libevent_extra.a", "libevent_openssl.a"]
LINES_OF_A_FAILURE = 40


def run(*command, cwd=None, **extra):
    """Runs a command, whose output is returned, and shown only if it fails."""
    environment = {**os.environ, **extra}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=environment, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        lines = "\n".join(done.stdout.splitlines()[-LINES_OF_A_FAILURE:])
        sys.exit(f"check_prefix: {' '.join(map(str, command))}\n{lines}\nstatus {done.returncode}")
    return done.stdout


def require(condition, what):
    if not condition:
        sys.exit(f"check_prefix: {what}")


class Prefix:
    """Where our libraries are installed, and the folder in which programs are built against them."""

    def __init__(self, arguments):
        self.build = arguments.build.resolve()
        self.source = arguments.source
        self.openssl = arguments.openssl
        self.work = arguments.work.resolve()
        self.root = self.work / "prefix"
        shutil.rmtree(self.work, ignore_errors=True)
        run("cmake", "--install", self.build, "--prefix", self.root)

    def folder(self, name):
        folder = self.work / name
        folder.mkdir(parents=True)
        return folder

    def pkg_config(self, *arguments):
        folders = [self.root / "lib/pkgconfig"] + ([self.openssl / "lib/pkgconfig"] if self.openssl else [])
        return run("pkg-config", "--define-prefix", *arguments,
                   PKG_CONFIG_LIBDIR=":".join(map(str, folders)), PKG_CONFIG_PATH="").split()


def imported_dlls(program):
    listing = run(f"{HOST}-objdump", "-p", program)
    return {name.lower() for name in re.findall(r"DLL Name: (\S+)", listing)}


def check_imports(program):
    others = imported_dlls(program) - SYSTEM_DLLS - {C_RUNTIME_DLL}
    require(not others, f"{program} asks for {', '.join(sorted(others))}")


def check_program(program):
    """No DLL but Windows' own, and it runs on select and on the port."""
    check_imports(program)
    for iocp, method in ("0", "win32"), ("1", "iocp"):
        output = run(ROOT / "tools/wine-run", program, EVENT_IOCP=iocp, WINEPATH=f"Z:\\usr\\{HOST}\\lib")
        require(f" on {method}: 1" in output, f"{program} with EVENT_IOCP={iocp} says: {output}")


def check_files(prefix):
    for name in LIBRARIES if prefix.openssl else LIBRARIES[:3]:
        require((prefix.root / "lib" / name).is_file(), f"{name} is not installed")
    include = prefix.source / "include"
    headers = [path.relative_to(include) for path in include.rglob("*.h")]
    own = ROOT / "bufferevent/include"
    headers += [path.relative_to(own) for path in own.rglob("*.h")] + [pathlib.Path("event2/event-config.h")]
    missing = [str(header) for header in headers if not (prefix.root / "include" / header).is_file()]
    require(not missing, f"headers are not installed: {', '.join(missing)}")
    for name, source in ("libevent", prefix.source), ("libevent-iocp", ROOT):
        installed = prefix.root / "share/licenses" / name / "LICENSE"
        require(installed.is_file() and installed.read_bytes() == (source / "LICENSE").read_bytes(),
                f"the license of {name} is not installed")
    require((prefix.root / "bin/event_rpcgen.py").is_file(), "event_rpcgen.py is not installed")
    for path in prefix.root.rglob("*"):
        if path.suffix in (".cmake", ".pc"):
            require(str(prefix.root) not in path.read_text(), f"{path} names its prefix, which may be moved")


def plain(prefix):
    folder = prefix.folder("plain")
    for name, libraries in ("event", ["-levent"]), ("core_extra", ["-levent_extra", "-levent_core"]):
        program = folder / f"{name}.exe"
        run(CC, HERE / "timer.c", "-o", program, f"-I{prefix.root}/include", f"-L{prefix.root}/lib", *libraries,
            *SYSTEM_LIBRARIES)
        check_program(program)


def readme(prefix):
    """README's command for a cross-build, word for word, and what it says about TLS."""
    folder = prefix.folder("readme")
    (folder / "install").symlink_to(prefix.root)
    text = (ROOT / "README.md").read_text()
    command = re.search(rf"^{HOST}-gcc .*$", text, re.MULTILINE).group().split()
    shutil.copy(HERE / "timer.c", folder / "program.c")
    run(*command, cwd=folder)
    check_program(folder / "a.exe")
    if not prefix.openssl:
        return
    at = command.index("-levent")
    command[at:at + 1] = [f"-I{prefix.openssl}/include", f"-L{prefix.openssl}/lib",
                          *re.search(r"`(-levent_openssl [^`]*)`", text).group(1).split()]
    shutil.copy(HERE / "tls_server.c", folder / "program.c")
    run(*command, "-o", "tls_server.exe", cwd=folder)
    check_imports(folder / "tls_server.exe")


def pkg_config(prefix):
    folder = prefix.folder("pkg-config")
    # With --static and without, since there is nothing but static libraries.
    for name, how in ("libevent", []), ("libevent_extra", []), ("libevent_extra", ["--static"]):
        program = folder / f"{name}{len(how)}.exe"
        run(CC, HERE / "timer.c", "-o", program, *prefix.pkg_config("--cflags", "--libs", *how, name))
        check_program(program)
    version = prefix.pkg_config("--modversion", "libevent_core")[0]
    require(re.fullmatch(r"\d+\.\d+\.\d+", version), f"libevent_core.pc says version {version}")
    if not prefix.openssl:
        return
    for how in [], ["--static"]:
        program = folder / f"tls_server{len(how)}.exe"
        run(CC, HERE / "tls_server.c", "-o", program,
            *prefix.pkg_config("--cflags", "--libs", *how, "libevent_openssl", "libevent_extra"))
        check_imports(program)


def autotools(prefix):
    folder = prefix.folder("autotools")
    for name in ("drop_in/configure.ac", "drop_in/Makefile.am", "timer.c"):
        shutil.copy(HERE / name, folder)
    run("autoreconf", "--install", cwd=folder)
    ways = {
        "by-pkg-config": ([], {"PKG_CONFIG_LIBDIR": str(prefix.root / "lib/pkgconfig"), "PKG_CONFIG_PATH": ""}),
        "by-name": (["--without-pkg-config"],
                    {"CPPFLAGS": f"-I{prefix.root}/include", "LDFLAGS": f"-L{prefix.root}/lib"}),
    }
    for way, (switches, environment) in ways.items():
        build = folder / way
        build.mkdir()
        run("../configure", f"--host={HOST}", f"CC={CC}", "PKG_CONFIG=pkg-config", *switches, cwd=build, **environment)
        run("make", cwd=build)
        check_program(build / "timer.exe")


def cmake(prefix):
    """Without our toolchain: the compiler's name alone, or another one's file with the usual find modes."""
    folder = prefix.folder("cmake")
    toolchain = folder / "toolchain.cmake"
    toolchain.write_text(f"""set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_C_COMPILER {CC})
set(CMAKE_FIND_ROOT_PATH /usr/{HOST} {prefix.root} {prefix.openssl or ''})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
""")
    by_name = ["-DCMAKE_SYSTEM_NAME=Windows", f"-DCMAKE_C_COMPILER={CC}", f"-DCMAKE_PREFIX_PATH={prefix.root}"]
    ours = [f"-DCMAKE_TOOLCHAIN_FILE={ROOT}/tools/cmake/mingw-w64.cmake", f"-DCMAKE_PREFIX_PATH={prefix.root}"]
    ways = {
        "core-by-name": [*by_name, "-DCMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON"],
        "core-by-toolchain": [f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", "-DCMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON"],
        "core-by-our-toolchain": [*ours, f"-DLibevent_DIR={prefix.root}/lib/cmake/libevent"],
        "own-find-module": [f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", "-DOWN_FIND_MODULE=ON"],
    }
    if prefix.openssl:
        # It is run: no DLL of the compiler's is on Wine's path.
        ways["tls-by-toolchain"] = [f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", "-DWITH_TLS=ON",
                                    "-DCMAKE_EXE_LINKER_FLAGS=-static",
                                    "-DOPENSSL_USE_STATIC_LIBS=ON"]
    for way, switches in ways.items():
        build = folder / way
        run("cmake", "-S", HERE / "drop_in", "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", *switches)
        run("cmake", "--build", build)
        for program in sorted(build.glob("timer*.exe")):
            check_program(program)
        if "-DWITH_TLS=ON" in switches:
            print(run("python3", HERE / "check_tls_server.py", build / "tls_server.exe", build).strip())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--openssl", type=pathlib.Path)
    prefix = Prefix(parser.parse_args())
    for way in (check_files, plain, readme, pkg_config, autotools, cmake):
        way(prefix)
        print(f"{way.__name__}: passed", flush=True)


if __name__ == "__main__":
    main()
